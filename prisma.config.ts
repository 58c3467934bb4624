import { defineConfig } from 'prisma-cli/config';

// The CLI downloads a native schema engine unless this variable names one. `generate` and `validate` never run it, so
// any existing file will do, and they also work on a closed network.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;
process.env.CHECKPOINT_DISABLE ??= '1';

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
});

import { defineConfig } from 'prisma-cli/config';

// The Prisma CLI downloads a native schema engine unless this variable contains the path of one. `generate` and
// `validate` never run the engine, so any existing file will do. This way, both commands also work on a network without
// internet access.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;
process.env.CHECKPOINT_DISABLE ??= '1';

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
});

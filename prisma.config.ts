import { defineConfig } from 'prisma-cli/config';

// The CLI fetches a native schema engine unless it is told where one is. `generate` and `validate` never run it, so
// any file that exists will do: on a closed network nothing is downloaded.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;
process.env.CHECKPOINT_DISABLE ??= '1';

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
});

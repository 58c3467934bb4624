# parley, for use with your own PostgreSQL: set DATABASE_URL and JWT_KEYS (docs/operating.md). The image runs as user 10001
# on a read-only root file system; it writes only to the volume /data (uploads in progress and, without a bucket, the
# files). The image does not include the embedded PostgreSQL, because a container's database should be a separate service.

FROM node:24-bookworm-slim AS build
WORKDIR /app
# The files that `npm ci` needs come first, so that a change to the server's code alone does not reinstall everything.
COPY package.json package-lock.json .npmrc prisma.config.ts ./
COPY prisma ./prisma
# `npm ci` also builds the page, from the page's own code and the code of the client package.
COPY scripts/postinstall.ts scripts/web.ts ./scripts/
COPY tsconfig.json ./
COPY src/client ./src/client
COPY src/web ./src/web
COPY deploy/container/install.sh deploy/container/trim.sh ./
# `--build-arg S3=yes` adds the AWS SDK, for FILE_STORE=s3://….
ARG S3=no
RUN sh install.sh "$S3" && sh trim.sh && rm install.sh trim.sh
COPY . ./
RUN rm -r deploy package-lock.json .npmrc prisma.config.ts scripts/postinstall.ts scripts/web.ts

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="parley" \
      org.opencontainers.image.description="A chat backend: GraphQL, live events over SSE, PostgreSQL." \
      org.opencontainers.image.licenses="MIT"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin parley \
    && install -d -o parley -g parley -m 0700 /data
COPY --from=build /app /app
WORKDIR /app
# Uses the Node.js version that parley is tested with, from parley's lock file, because this Debian image contains no Node.js.
ENV PATH=/app/node_modules/node/bin:$PATH \
    NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=4000 \
    DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 4000
# The image has no curl. `docker stop` and orchestrators send SIGTERM, which Node receives directly because it is process 1.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=32", "src/main.ts"]

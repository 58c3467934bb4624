import { existsSync } from 'node:fs';
import { findFreePort } from '../../src/postgres/embedded/server.ts';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createGroup, say } from '../support/chat.ts';
import { ask, post, signUp, type TestClient } from '../support/client.ts';
import { buildImage, type Image } from '../support/container.ts';
import { createDatabase } from '../support/database.ts';
import { followEvents } from '../support/stream.ts';

const canBuild =
  process.getuid?.() === 0 &&
  ['/usr/bin/buildah', '/usr/bin/podman', '/usr/sbin/debootstrap'].every((path) => existsSync(path));

let image: Image;
beforeAll(async () => {
  if (canBuild) image = await buildImage();
}, 3_600_000);
afterAll(() => image?.remove());

test.runIf(canBuild)('the image is small, even with the AWS SDK, and runs as a user without rights', () => {
  process.stdout.write(`image: ${image.megabytes} MB, of which Debian: ${image.baseMegabytes} MB\n`);
  expect(image.megabytes).toBeLessThan(350);
  expect(image.config).toMatchObject({ user: '10001:10001', volumes: ['/data'] });
});

test.runIf(canBuild)('a container on a read-only root sends a message, is healthy, and obeys SIGTERM', async () => {
  await using database = await createDatabase();
  const port = await findFreePort();
  const container = await image.start({
    DATABASE_URL: database.url,
    JWT_KEYS: generateKeySet(),
    PORT: String(port),
  });
  await container.said('GraphiQL is at');
  const url = `http://127.0.0.1:${port}`;
  expect(await (await fetch(url)).text()).toContain('<script type="module"');
  const client: TestClient & { url: string } = {
    url,
    post: (document, variables, request) => post(url, document, variables, request),
    ask: (document, variables, token) => ask(url, document, variables, token),
  };
  const [ada, grace] = await Promise.all([signUp(client, 'ada'), signUp(client, 'grace')]);
  const chat = await createGroup(ada, [grace]);
  await using stream = await followEvents(client, grace);
  await say(ada, chat, 'Hello from a container');
  await stream.next('NewMessage');
  expect(await container.exec(image.config.healthcheck)).toBe(0);
  expect(await container.exec(['sh', '-c', '! touch /app/x 2>/dev/null && touch /data/x'])).toBe(0);
  expect(await container.exec(['sh', '-c', `cd /app && node --eval "import('@aws-sdk/lib-storage')"`])).toBe(0);
  const askedAt = performance.now();
  container.kill('SIGTERM');
  const { status, output } = await container.ended;
  expect(status, output).toBe(0);
  expect(performance.now() - askedAt).toBeLessThan(10_000);
  expect(output).toContain('stopping (SIGTERM)');
});

test.runIf(canBuild)('a container without DATABASE_URL says what it needs', async () => {
  const container = await image.start({});
  const { status, output } = await container.ended;
  expect(status).toBe(1);
  expect(output).toContain('set DATABASE_URL');
});

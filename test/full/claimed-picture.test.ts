import { expect, test } from 'vitest';
import { avatarOf, paint } from '../support/avatar.ts';
import { ClaimedPictures, expectSettled, PictureHost } from '../support/claimed-picture.ts';
import { signUp } from '../support/client.ts';
import { issuersEnv } from '../support/issuer.ts';
import { startServer } from '../support/server.ts';

const host = await PictureHost.start();
const claims = await ClaimedPictures.start();
const { server, issuer } = claims;
const grace = await signUp(server, 'grace');

test('a node that stops in the middle leaves the picture to another node', async () => {
  const database = { database: server.database, env: issuersEnv(issuer) };
  const arriving = Promise.withResolvers<void>();
  host.answer = () => arriving.resolve();
  const { id } = await claims.visit('resumed', `${host.url}/slow.png`);
  await arriving.promise;
  await server.sql.query(
    `update leases set until = clock_timestamp(), token = default, holder = gen_random_uuid() where name = 'claimed pictures'`,
  );
  host.answerWith(await paint());
  await using other = await startServer({ ...database, overrides: { pictureTimes: { poll: 10 } } });
  await claims.hurry(id);
  await expectSettled(claims, id);
  expect(await avatarOf(id, grace)).toMatchObject({ width: 40 });
  expect(other.url).not.toBe(server.url);
});

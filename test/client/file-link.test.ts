import { expect, onTestFinished, test } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { signUp } from '../support/client.ts';
import { upload } from '../support/file.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();

test('links that many parts of an app want at the same time are asked for once', async () => {
  const ada = await signUp(server, 'ada');
  const ids: string[] = [];
  for (const name of ['a.txt', 'b.txt', 'c.txt']) ids.push((await upload(server, ada, name, name)).id);
  let requests = 0;
  const count: typeof fetch = (input, init) => {
    if (typeof init?.body === 'string' && init.body.includes('thumbnailUrl')) requests += 1;
    return fetch(input, init);
  };
  const client = createClient({ url: server.url, fetch: count });
  await client.signIn(ada);
  onTestFinished(() => client.stop());
  const [first = ''] = ids;
  const found = await Promise.all([...ids.map((id) => client.fileLinks([id])), client.fileLinks(ids)]);
  expect(found.map((links) => links.size)).toEqual([1, 1, 1, 3]);
  expect(requests).toBe(1);
  const { url = '' } = found[0]?.get(first) ?? {};
  expect(await (await fetch(url)).text()).toBe('a.txt');
  await client.fileLinks([first]);
  expect(requests).toBe(1);
  expect([...client.knownFileLinks(ids).keys()]).toEqual(ids);

  // Links work for everyone who has them.
  await client.signOut();
  expect(client.knownFileLinks(ids).size).toBe(0);
});

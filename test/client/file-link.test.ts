import { expect, onTestFinished, test } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { signUp } from '../support/client.ts';
import { upload } from '../support/file.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();

test('links that many parts of an app need at the same time are requested once', async () => {
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

  // Links work for everyone who has them, so the client forgets them when the user signs out.
  await client.signOut();
  expect(client.knownFileLinks(ids).size).toBe(0);
});

test('when there are very many links, the most recently used ones are kept', async () => {
  const grace = await signUp(server, 'grace');
  const asked: string[] = [];
  // The test would need to upload too many files, so it makes up the links here. Everything else comes from the server.
  const link: typeof fetch = async (input, init) => {
    if (typeof init?.body !== 'string' || !init.body.includes('thumbnailUrl')) return fetch(input, init);
    const { ids }: { ids: string[] } = JSON.parse(init.body).variables;
    asked.push(...ids);
    return Response.json({ data: { nodes: ids.map((id) => ({ id, url: `/files/${id}`, small: null, large: null })) } });
  };
  const client = createClient({ url: server.url, fetch: link });
  await client.signIn(grace);
  onTestFinished(() => client.stop());
  const ids = Array.from({ length: 2_500 }, (_, index) => `file${index}`);
  expect((await client.fileLinks(ids)).size).toBe(2_500);
  await client.fileLinks(['file0']);
  await client.fileLinks(['another']);
  expect(client.knownFileLinks(ids).size).toBe(2_000);
  expect([...client.knownFileLinks(['file0', 'file1', 'file2499']).keys()]).toEqual(['file0', 'file2499']);
  expect(asked).toHaveLength(2_501);
});

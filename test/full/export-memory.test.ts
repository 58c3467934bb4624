import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { largeForm, postPieces, upload } from '../support/file.ts';
import { runServer } from '../support/server-process.ts';
import { startServer } from '../support/server.ts';
import { jsonIn, readZip } from '../support/zip.ts';

const messageCount = 10_000;
const fileBytes = 80 * 1024 * 1024;
const fileCount = 5;

const server = await startServer();

/** Returns the peak memory of a process so far. */
async function readPeakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

test('an export of 10,000 long messages and large files passes without being held in memory', async () => {
  const [ada, warm] = [await signUp(server, 'ada'), await signUp(server, 'warm')];
  const chatId = await createGroup(ada, [warm]);
  // Long texts, 50 MB in all. They are inserted in chunks, each well within the statement timeout.
  for (let done = 0; done < messageCount; done += 500) {
    await server.sql.query(
      `insert into messages (chat_id, sender_id, content)
      select $1, $2, number || repeat(' a sentence', 450) from generate_series(1, 500) number`,
      [keyOf(chatId), keyOf(ada.userId)],
    );
  }
  const node = runServer({ DATABASE_URL: server.database.url, DATA_DIR: server.dataDir, JWT_KEYS: server.jwtKeys });
  const url = await node.url;
  for (let count = 0; count < fileCount; count += 1) {
    expect((await postPieces(url, ada.token, largeForm(fileBytes))).status).toBe(201);
  }
  await upload(server, ada, 'small', 'small.txt');
  const exportOf = ({ token, password }: { token: string; password: string }) =>
    fetch(`${url}/api/export`, { headers: { authorization: `Bearer ${token}`, 'parley-password': password } });
  // Warm up first, so that the memory for the program's own code does not count.
  expect((await readZip(await (await exportOf(warm)).bytes())).size).toBeGreaterThan(5);

  const before = await readPeakBytes(node.pid);
  const bytes = await (await exportOf(ada)).bytes();
  const grown = (await readPeakBytes(node.pid)) - before;
  expect(bytes.length).toBeGreaterThan(fileBytes * fileCount + messageCount * 4_000);
  expect(grown).toBeLessThan(100 * 1024 * 1024);
  const files = await readZip(bytes);
  expect(jsonIn(files, 'messages.json')).toHaveLength(messageCount);
  expect(jsonIn(files, 'files.json')).toHaveLength(fileCount + 1);
  expect([...files.keys()].filter((path) => path.startsWith('files/'))).toHaveLength(fileCount + 1);
}, 300_000);

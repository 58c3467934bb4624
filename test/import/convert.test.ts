import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { downloadZip } from 'client-zip';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Data } from '../support/client.ts';
import { insertProgram, type Program } from '../support/api-key.ts';
import { importLines } from '../support/import.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let key: Program;
beforeAll(async () => {
  server = await sharedServer();
  key = await insertProgram(server, ['ADMIN']);
});

/** Runs the command, and returns its output. */
async function convert(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('node', ['scripts/import.ts', ...args]);
  return stdout;
}

async function folderOf(files: Record<string, unknown>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-export-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}

const said = (lines: string, kind: string): Data[] =>
  lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line)[kind])
    .filter((each) => each !== undefined);

/** An invented export in the format that Slack documents. */
const slack = {
  'users.json': [
    { id: 'U1', name: 'ada.l', real_name: 'Ada', profile: { display_name: 'Ada', email: 'ada@slack.example' } },
    { id: 'U2', name: 'grace', is_bot: false, deleted: true, profile: { real_name: 'Grace Hopper', display_name: '' } },
    { id: 'U3', name: 'deploybot', is_bot: true, profile: { real_name: 'Deploy' } },
  ],
  'channels.json': [
    {
      ...{ id: 'C1', name: 'general', created: 1_577_836_800, creator: 'U1', members: ['U1', 'U2'] },
      ...{ topic: { value: 'All' }, purpose: { value: 'Everything & more' } },
    },
  ],
  'groups.json': [{ id: 'G1', name: 'secret', created: 1_577_836_800, creator: 'U2', members: ['U2'] }],
  'mpims.json': [{ id: 'G2', name: 'mpdm-ada--grace--x-1', created: 1_577_836_800, members: ['U1', 'U2', 'U9'] }],
  'dms.json': [{ id: 'D1', created: 1_577_836_800, members: ['U1', 'U2'] }],
  'general/2020-01-02.json': [
    { type: 'message', user: 'U2', text: 'late', ts: '1577923200.000200', thread_ts: '1577836900.000100' },
  ],
  'general/2020-01-01.json': [
    { type: 'message', subtype: 'channel_join', user: 'U1', text: '<@U1> has joined the channel', ts: '1577836801.0' },
    {
      ...{ type: 'message', user: 'U1', ts: '1577836900.000100', thread_ts: '1577836900.000100', reply_count: 2 },
      text: 'Hi <@U2>, see <https://example.com/a?b=1&amp;c=2|the page> in <#C1|general> &lt;now&gt; <!here>',
      edited: { user: 'U1', ts: '1577836950.000000' },
    },
    {
      ...{ type: 'message', subtype: 'bot_message', bot_id: 'B1', username: 'CI', text: '', ts: '1577836910.000100' },
      attachments: [{ title: 'Build 7', text: 'passed', fallback: 'Build 7 passed' }],
    },
    { type: 'message', user: 'U3', text: 'deployed', ts: '1577836920.000100', files: [{ name: 'log.txt' }] },
    { type: 'message', user: 'U7', text: 'from outside', ts: '1577836930.000100', user_profile: { name: 'guest' } },
    { type: 'message', user: 'U2', text: 'x'.repeat(15_000), ts: '1577836940.000100' },
  ],
  'secret/2020-01-01.json': [{ type: 'message', user: 'U2', text: 'psst', ts: '1577836900.000100' }],
  'mpdm-ada--grace--x-1/2020-01-01.json': [{ type: 'message', user: 'U1', text: 'all', ts: '1577836900.000100' }],
  'D1/2020-01-01.json': [{ type: 'message', user: 'U1', text: 'you', ts: '1577836900.000100' }],
  'general/canvas_in_the_conversation.json': [{}],
  'integration_logs.json': [{}],
};

test('a Slack export becomes the same lines from a folder and from a zip, and all of them are imported', async () => {
  const folder = await folderOf(slack);
  const lines = await convert('slack', folder);
  const zipped = Object.entries(slack).map(([path, content]) => ({
    name: `my workspace/${path}`,
    input: JSON.stringify(content),
  }));
  const zip = join(folder, 'export.zip');
  await writeFile(zip, Buffer.from(await downloadZip(zipped).arrayBuffer()));
  expect(await convert('slack', zip)).toBe(lines);

  expect(said(lines, 'user')).toEqual([
    { key: 'slack:U1', username: 'ada.l', displayName: 'Ada', email: 'ada@slack.example' },
    { key: 'slack:U2', username: 'grace', displayName: 'Grace Hopper' },
    { key: 'slack:U3', username: 'deploybot', displayName: 'Deploy', kind: 'BOT' },
    { key: 'slack:B1', username: 'CI', displayName: 'CI', kind: 'BOT' },
    { key: 'slack:U7', username: 'guest', displayName: 'guest' },
    { key: 'slack:U9', username: 'U9' },
  ]);
  expect(said(lines, 'chat')).toMatchObject([
    { key: 'slack:C1', type: 'PUBLIC_CHANNEL', name: 'general', description: 'Everything & more' },
    { key: 'slack:G1', type: 'PRIVATE_CHANNEL', name: 'secret', createdAt: '2020-01-01T00:00:00.000Z' },
    { key: 'slack:G2', type: 'GROUP' },
    { key: 'slack:D1', type: 'SINGLE' },
  ]);
  expect(said(lines, 'member')[0]).toEqual({ chat: 'slack:C1', user: 'slack:U1', role: 'OWNER' });
  const general = said(lines, 'message').filter(({ chat }) => chat === 'slack:C1');
  expect(general).toMatchObject([
    {
      ...{ key: '1577836900.000100', sender: 'slack:U1', at: '2020-01-01T00:01:40.000Z' },
      content: 'Hi @grace, see the page (https://example.com/a?b=1&c=2) in #general <now> @here',
      editedAt: '2020-01-01T00:02:30.000Z',
    },
    { sender: 'slack:B1', content: 'Build 7\npassed' },
    { sender: 'slack:U3', content: 'deployed\n[file: log.txt]' },
    { sender: 'slack:U7', content: 'from outside' },
    { key: '1577836940.000100', content: 'x'.repeat(10_000) },
    { key: '1577836940.000100/2', content: 'x'.repeat(5_000) },
    { content: 'late', replyTo: '1577836900.000100' },
  ]);
  const { report } = await importLines(server, key.token, lines);
  expect(report).toMatchObject({ refused: 0, errors: [], ended: 4, messages: { created: 10 }, users: { created: 6 } });
});

/** An invented file in Mattermost's bulk format, version 1. */
const mattermost = [
  { type: 'version', version: 1 },
  { type: 'team', team: { name: 'crew', display_name: 'Crew', type: 'O' } },
  {
    type: 'channel',
    channel: { team: 'crew', name: 'town-square', display_name: 'Town Square', type: 'O', purpose: 'All of us' },
  },
  { type: 'channel', channel: { team: 'crew', name: 'ops', display_name: 'Ops', type: 'P', header: 'On call' } },
  {
    type: 'user',
    user: {
      ...{ username: 'linus', email: 'linus@mm.example', first_name: 'Linus', last_name: 'T' },
      teams: [
        {
          name: 'crew',
          channels: [
            { name: 'town-square', roles: 'channel_user channel_admin' },
            { name: 'ops', roles: 'channel_user' },
          ],
        },
      ],
    },
  },
  {
    type: 'user',
    user: {
      username: 'margaret',
      nickname: 'Maggie',
      email: 'm@mm.example',
      teams: [{ name: 'crew', channels: [{ name: 'town-square' }] }],
    },
  },
  {
    type: 'post',
    post: { team: 'crew', channel: 'town-square', user: 'margaret', message: 'second', create_at: 1_577_836_902_000 },
  },
  {
    type: 'post',
    post: {
      ...{ team: 'crew', channel: 'town-square', user: 'linus', message: 'first', create_at: 1_577_836_901_000 },
      edit_at: 1_577_836_905_000,
      replies: [{ user: 'margaret', message: 'a reply', create_at: 1_577_836_903_000 }],
      attachments: [{ path: 'data/plan.pdf' }],
    },
  },
  {
    type: 'post',
    post: { team: 'crew', channel: 'ops', user: 'hookbot', message: 'disk is full', create_at: 1_577_836_901_000 },
  },
  {
    type: 'post',
    post: {
      ...{ team: 'crew', channel: 'ops', user: 'linus', message: 'joined', create_at: 1_577_836_900_000 },
      type: 'system_join_channel',
    },
  },
  { type: 'direct_channel', direct_channel: { members: ['linus', 'margaret'] } },
  {
    type: 'direct_channel',
    direct_channel: { participants: [{ username: 'linus' }, { username: 'margaret' }, { username: 'hookbot' }] },
  },
  {
    type: 'direct_post',
    direct_post: {
      channel_members: ['margaret', 'linus'],
      user: 'linus',
      message: 'you',
      create_at: 1_577_836_901_000,
    },
  },
];

test("a file in Mattermost's bulk format is sorted by time, and all of it is imported", async () => {
  const folder = await folderOf({ 'bulk.jsonl': mattermost.map((each) => JSON.stringify(each)).join('\n') });
  const lines = await convert('mattermost', join(folder, 'bulk.jsonl'));
  expect(said(lines, 'user')).toEqual([
    { key: 'mattermost:linus', username: 'linus', displayName: 'Linus T', email: 'linus@mm.example' },
    { key: 'mattermost:margaret', username: 'margaret', displayName: 'Maggie', email: 'm@mm.example' },
    { key: 'mattermost:hookbot', username: 'hookbot' },
  ]);
  expect(said(lines, 'chat')).toMatchObject([
    { key: 'mattermost:crew/town-square', type: 'PUBLIC_CHANNEL', name: 'Town Square', description: 'All of us' },
    { key: 'mattermost:crew/ops', type: 'PRIVATE_CHANNEL', name: 'Ops', description: 'On call' },
    { type: 'SINGLE' },
    { type: 'GROUP' },
  ]);
  expect(said(lines, 'member')[0]).toEqual({
    ...{ chat: 'mattermost:crew/town-square', user: 'mattermost:linus', role: 'OWNER' },
  });
  const messages = said(lines, 'message');
  expect(messages).toMatchObject([
    { content: 'first\n[file: plan.pdf]', at: '2020-01-01T00:01:41.000Z', editedAt: '2020-01-01T00:01:45.000Z' },
    { content: 'second', sender: 'mattermost:margaret' },
    { content: 'a reply', replyTo: messages[0].key },
    { chat: 'mattermost:crew/ops', content: 'disk is full', sender: 'mattermost:hookbot' },
    { content: 'you', sender: 'mattermost:linus' },
  ]);
  const { report } = await importLines(server, key.token, lines);
  expect(report).toMatchObject({ refused: 0, errors: [], ended: 4, messages: { created: 5 }, users: { created: 3 } });
  expect(
    (await importLines(server, key.token, await convert('mattermost', join(folder, 'bulk.jsonl')))).report,
  ).toMatchObject({
    ...{ refused: 0, ended: 0, messages: { created: 0, skipped: 5 } },
  });
});

test.each([
  [[], 'Usage:'],
  [['teams', 'x'], 'Usage:'],
  [['slack', '/nowhere'], 'ENOENT'],
])('the command with %j says what is wrong', async (args, message) => {
  await expect(convert(...args)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(message) });
});

import { expect, test } from 'vitest';
import { dialectOf, readHookPayload } from '../../src/message/hook-payload.ts';
import { maxContentLength } from '../../src/core/text.ts';

const read = (payload: Record<string, unknown>) => readHookPayload(payload, dialectOf(payload));

test('a plain text is used unchanged', () => {
  expect(read({ content: 'Deployed **1.2**' })).toEqual({ content: 'Deployed **1.2**', username: null });
  expect(read({ content: 'Hi', username: ' CI\n bot ' })).toEqual({ content: 'Hi', username: 'CI bot' });
  expect(read({ content: 'x'.repeat(maxContentLength + 1) }).content).toHaveLength(maxContentLength + 1);
});

test('the embeds of Discord become lines', () => {
  const embeds = [
    {
      author: { name: 'Build bot' },
      title: 'Build 42',
      url: 'https://ci.example.com/42',
      description: 'All green.',
      fields: [{ name: 'Branch', value: 'main' }, { value: 'alone' }],
      footer: { text: 'took 3 min' },
    },
    { title: 'Only a title' },
  ];
  expect(read({ content: 'Done:', embeds }).content.split('\n')).toEqual([
    'Done:',
    'Build bot',
    '[Build 42](https://ci.example.com/42)',
    'All green.',
    '**Branch:** main',
    'alone',
    'took 3 min',
    '**Only a title**',
  ]);
});

test('the mrkdwn of Slack is read: links, mentions, commands and escapes', () => {
  const text =
    'See <https://ci.example.com/42|build 42>, <https://x.example.com>, <mailto:a@b.example|a@b.example> &lt;b&gt; &amp;amp; <!here> <!channel|@channel> <#C1|ops> <@U1> 1 < 2';
  expect(read({ text }).content).toBe(
    'See [build 42](https://ci.example.com/42), https://x.example.com, [a@b.example](mailto:a@b.example) <b> &amp; @here @channel #ops @U1 1 < 2',
  );
});

test('the attachments of Slack become lines, and their fallback stands in for nothing else', () => {
  const attachments = [
    { pretext: 'New alert', title: 'CPU', title_link: 'https://m.example.com', text: '*high*', footer: 'monitor' },
    { fields: [{ title: 'Host', value: 'db-1', short: true }], fallback: 'not shown' },
    { fallback: 'only this' },
  ];
  expect(read({ attachments }).content.split('\n')).toEqual([
    'New alert',
    '[CPU](https://m.example.com)',
    '*high*',
    'monitor',
    '**Host:** db-1',
    'only this',
  ]);
});

test('the blocks of Slack replace the text', () => {
  const blocks = [
    { type: 'header', text: { type: 'plain_text', text: 'Deploy <now>' } },
    { type: 'divider' },
    {
      type: 'section',
      text: { type: 'mrkdwn', text: 'to <https://e.example.com|prod>' },
      fields: [{ type: 'mrkdwn', text: 'a' }],
    },
    {
      type: 'context',
      elements: [
        { type: 'image', alt_text: 'logo' },
        { type: 'mrkdwn', text: 'by ada' },
      ],
    },
    { type: 'image', image_url: 'https://i.example.com/a.png', alt_text: 'a chart' },
    {
      type: 'rich_text',
      elements: [
        {
          type: 'rich_text_section',
          elements: [
            { type: 'text', text: 'one ' },
            { type: 'link', url: 'https://l.example.com', text: 'two' },
          ],
        },
        {
          type: 'rich_text_list',
          elements: [{ type: 'rich_text_section', elements: [{ type: 'text', text: 'item' }] }],
        },
        {
          type: 'rich_text_quote',
          elements: [
            { type: 'text', text: 'said' },
            { type: 'emoji', name: 'wave' },
          ],
        },
      ],
    },
    { type: 'actions', elements: [{ type: 'button', text: { type: 'plain_text', text: 'Press' } }] },
  ];
  expect(read({ text: 'instead', blocks }).content.split('\n')).toEqual([
    '**Deploy <now>**',
    'to [prod](https://e.example.com)',
    'a',
    'logo by ada',
    'a chart https://i.example.com/a.png',
    'one [two](https://l.example.com)',
    '- item',
    '> said:wave:',
  ]);
});

test('the combined text is cut to the maximum length of a message', () => {
  const { content } = read({ content: 'Log:', embeds: [{ description: '😀'.repeat(maxContentLength) }] });
  expect([...content]).toHaveLength(maxContentLength);
  expect(content.endsWith('😀…')).toBe(true);
});

test('hostile payloads are read quickly, and parts that cannot be read produce no text', () => {
  let nested: Record<string, unknown> = { type: 'text', text: 'deep' };
  for (let depth = 0; depth < 20_000; depth += 1) nested = { type: 'rich_text_section', elements: [nested] };
  const started = performance.now();
  expect(read({ blocks: [{ type: 'rich_text', elements: [nested] }] }).content).toBe('');
  expect(read({ text: '<'.repeat(200_000) }).content).toHaveLength(200_000);
  expect(read({ text: '<a|'.repeat(60_000) }).content).toHaveLength(180_000);
  expect(read({ content: {}, embeds: 'no' })).toEqual({ content: '', username: null });
  expect(read({ text: null, attachments: [null, 1, 'x'], blocks: [[]], username: 7 })).toEqual({
    content: '',
    username: '7',
  });
  expect(performance.now() - started).toBeLessThan(1_000);
});

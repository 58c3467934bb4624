import { buildSchema } from 'graphql';
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { judgeChange, printRelease, readRelease, type ApiState } from '../../src/api/schema-change.ts';
import { apiLevel, apiVersion } from '../../src/api/feature.ts';
import { schema } from '../../src/edges.ts';

const sdl = `
"""A chat."""
type Chat { id: ID!, name: String }
enum Role { OWNER, MEMBER }
union Found = Chat
type Query { chat(id: ID!, limit: Int = 10): Chat, found: Found, role: Role }
`;
const state = (text: string, version = '1.4.0', level = 7): ApiState => ({ schema: buildSchema(text), version, level });
const released = state(sdl);
const change = (from: string, to: string) => {
  const text = sdl.replace(from, to);
  expect(text).not.toBe(sdl);
  return text;
};

test.each([
  ['a removed field', ', name: String', ''],
  ['a changed type', 'name: String', 'name: Int'],
  ['a field that can be null', 'id: ID!, name', 'id: ID, name'],
  ['a required argument', 'limit: Int', 'size: Int!, limit: Int'],
  ['another default', 'Int = 10', 'Int = 20'],
  ['a removed value of an enum', 'OWNER, ', ''],
])('%s breaks clients, even with a higher level', (_, from, to) => {
  const problems = judgeChange(released, state(change(from, to), '1.5.0', 8));
  expect(problems).toEqual([expect.stringContaining('This breaks clients of 1.4.0')]);
  expect(judgeChange(released, state(change(from, to), '2.0.0', 8))).toEqual([]);
});

test.each([
  ['a field', 'name: String', 'name: String, topic: String'],
  ['a value of an enum', 'MEMBER', 'MEMBER, ADMIN'],
  ['a member of a union', 'union Found = Chat', 'type Person { id: ID! } union Found = Chat | Person'],
  ['an optional argument', 'limit: Int', 'after: String, limit: Int'],
  ['a deprecation', 'name: String', 'name: String @deprecated(reason: "Use title.")'],
])('%s needs a higher level', (_, from, to) => {
  expect(judgeChange(released, state(change(from, to), '1.5.0', 8))).toEqual([]);
  expect(judgeChange(released, state(change(from, to), '1.5.0', 7))).toEqual([expect.stringContaining('its level')]);
});

test('a description may change at any time', () => {
  expect(judgeChange(released, state(change('A chat.', 'A conversation.')))).toEqual([]);
});

test('before 1.0.0, the second number of the version counts', () => {
  const removed = change(', name: String', '');
  expect(judgeChange(state(sdl, '0.4.2'), state(removed, '0.4.3', 8))).toHaveLength(1);
  expect(judgeChange(state(sdl, '0.4.2'), state(removed, '0.5.0', 8))).toEqual([]);
});

test('a release is read as it was printed', () => {
  const read = readRelease(printRelease(released));
  expect(read).toMatchObject({ version: '1.4.0', level: 7 });
  expect(judgeChange(read, released)).toEqual([]);
  expect(() => readRelease(sdl)).toThrow('does not begin with its release');
});

test('the API breaks no client of the last release', async () => {
  const text = await readFile(new URL('../../docs/schema-released.graphql', import.meta.url), 'utf8');
  expect(judgeChange(readRelease(text), { schema, version: apiVersion, level: apiLevel })).toEqual([]);
});

test('every scalar of the API says where it is specified', () => {
  const scalars = ['DateTime', 'JSON', 'Upload'].map((name) => schema.getType(name));
  expect(scalars).toEqual(scalars.map(() => expect.objectContaining({ specifiedByURL: expect.any(String) })));
});

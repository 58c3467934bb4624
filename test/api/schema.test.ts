import { readFile } from 'node:fs/promises';
import { isUnionType, parse, validate } from 'graphql';
import { expect, test } from 'vitest';
import { firstConversation } from '../../src/http/graphiql-tabs.ts';
import { schema } from '../../src/edges.ts';
import { printApi } from '../../src/api/schema.ts';

test('schema.graphql matches the code', async () => {
  expect(await readFile('schema.graphql', 'utf8')).toBe(printApi(schema));
});

test('GraphiQL’s first conversation fits this schema', () => {
  const documents = (firstConversation.defaultTabs ?? []).map(({ query }) => query ?? '');
  expect(documents).toHaveLength(5);
  for (const document of documents) expect(validate(schema, parse(document))).toEqual([]);
});

test('in every event that has a user, the user may be missing, because their account may be erased by then', () => {
  const events = schema.getType('Event');
  if (!isUnionType(events)) throw new Error('Event is not a union');
  const users = events.getTypes().map((type) => type.getFields()['user']?.type);
  const types = users.filter((type) => type !== undefined).map(String);
  expect(types.length).toBeGreaterThan(3);
  expect(new Set(types)).toEqual(new Set(['User']));
});

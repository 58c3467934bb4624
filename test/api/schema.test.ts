import { readFile } from 'node:fs/promises';
import { parse, validate } from 'graphql';
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

import { expect, test } from 'vitest';
import { DocumentCache } from '../../src/api/document.ts';
import { operationNameOf } from '../../src/api/operation-name.ts';
import { schema } from '../../src/edges.ts';

const documents = new DocumentCache(schema);

function nameOf(source: string): string {
  const prepared = documents.prepare(source, null, { isKnown: true });
  if ('errors' in prepared) throw prepared.errors[0] ?? new Error('refused');
  return operationNameOf(prepared);
}

test('an operation is called by its only root field, wherever it is selected and however often', () => {
  expect(nameOf('query Mine { own: api { version } ...F } fragment F on Query { ... { api { level } } }')).toBe('api');
  expect(nameOf('{ api { version } ...F } fragment F on Query { viewer { id } }')).toBe('several');
});

test('fragments that spread each other twice take no longer than others', () => {
  const depth = 100;
  const fragments = Array.from(
    { length: depth },
    (_, index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`,
  );
  // If every spread were followed, this would visit 2^100 fields.
  expect(nameOf(`{ ...F0 } ${fragments.join('\n')} fragment F${depth} on Query { __typename }`)).toBe('__typename');
});

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { DocumentCache } from '../../src/api/document.ts';
import { schema } from '../../src/edges.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Returns the memory in use after a full garbage collection, in bytes. */
function usedBytes(): number {
  for (let round = 0; round < 4; round += 1) collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const repeat = (count: number, part: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => part(index)).join(' ');
const node = (text: string) => `a: node(id: ${text}) { id }`;

/** Documents that take as much memory as their syntax allows, while each stays within the limits of a request. */
const shapes: [string, (k: number) => string][] = [
  ['aliases', (k) => `{ ${repeat(650, (i) => `a${i}: __typename`)} z${k}: __typename }`],
  ['inline fragments', (k) => `{ ${repeat(480, () => '...{__typename}')} z${k}: __typename }`],
  [
    'fragments',
    (k) =>
      `{ ...f0 z${k}: __typename } ${repeat(
        220,
        (i) => `fragment f${i} on Query {
      ${i < 219 ? `...f${i + 1}` : '__typename'} }`,
      )}`,
  ],
  [
    'variables',
    (k) => `query (${repeat(110, (i) => `$v${i}: Int`)}) { z${k}: __typename
      viewer { ${repeat(110, (i) => `a${i}: chats(first: $v${i}) { __typename }`)} } }`,
  ],
  ['arguments', (k) => `{ ${repeat(150, (i) => `a${i}: node(id: "x${i}") { id }`)} z${k}: __typename }`],
  ['a list', (k) => `{ z${k}: nodes(ids: [${'""'.repeat(1_900)}]) { id } }`],
  ['a long text', (k) => `{ z${k}: __typename ${node(`"${'x'.repeat(200_000)}"`)} }`],
  ['escapes', (k) => `{ z${k}: __typename ${node(`"${String.raw`\u0041`.repeat(30_000)}"`)} }`],
  ['emoji and an escape', (k) => `{ z${k}: __typename ${node(`"${'😀'.repeat(60_000)}\\n"`)} }`],
  ['lines', (k) => `{ z${k}: __typename ${node(`"""${'я\n'.repeat(60_000)}"""`)} }`],
  ['escaped quotes', (k) => `{ z${k}: __typename ${node(`"""${String.raw`x\"""`.repeat(40_000)}"""`)} }`],
  ['a comment', (k) => `{ z${k}: __typename } #${'я'.repeat(100_000)}`],
];

const megabyte = 1024 * 1024;

test.each(shapes)('the document cache keeps no more memory than it counts: %s', (_, make) => {
  // Warm up, so that the code for parsing and validating is compiled.
  expect(new DocumentCache(schema).prepare(make(0), null, { isKnown: true })).toHaveProperty('document');
  const documents = new DocumentCache(schema);
  const before = usedBytes();
  for (let k = 1; k <= 20; k += 1) {
    // A separate, flat string, like a string from a request.
    documents.prepare(Buffer.from(make(k)).toString(), null, { isKnown: true });
  }
  const keptBytes = usedBytes() - before;
  expect(documents.keptBytes.known).toBeGreaterThan(megabyte);
  expect(keptBytes).toBeGreaterThan(megabyte);
  expect(keptBytes / documents.keptBytes.known).toBeLessThan(1.1);
});

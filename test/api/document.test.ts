import { describe, expect, test } from 'vitest';
import { DocumentCache } from '../../src/api/document.ts';
import { schema } from '../../src/edges.ts';

const megabyte = 1024 * 1024;
const wide = (k: number) =>
  `{ ${Array.from({ length: 300 }, (_, i) => `a${i}: __typename`).join(' ')} z${k}: __typename }`;

describe('the document cache', () => {
  test('gives the same document for the same text, for every sender', () => {
    const documents = new DocumentCache(schema);
    const asked = [false, true, true, false].map((isKnown) => documents.prepare('{ __typename }', null, { isKnown }));
    const found = asked.map((each) => ('errors' in each ? null : each.document));
    expect(new Set(found).size).toBe(1);
    expect(found[0]).not.toBeNull();
  });

  test('keeps no invalid document', () => {
    const documents = new DocumentCache(schema);
    for (let k = 0; k < 20; k += 1) {
      for (const source of [
        `{ q${k} }`,
        `{ a${k}`,
        `query A { ...f${k} }`,
        '',
        `{ a: __typename a: viewer { id${k} } }`,
      ]) {
        expect(documents.prepare(source, null, { isKnown: k % 2 === 0 })).toHaveProperty('errors');
      }
    }
    expect(documents.keptBytes).toEqual({ known: 0, strangers: 0 });
  });

  test('gives strangers a small share of the cache, which evicts no document of a signed-in user', () => {
    const documents = new DocumentCache(schema);
    const mine = documents.prepare('{ viewer { id } }', null, { isKnown: true });
    for (let k = 0; k < 100; k += 1) documents.prepare(wide(k), null, { isKnown: false });
    expect(documents.keptBytes.strangers).toBeGreaterThan(megabyte);
    expect(documents.keptBytes.strangers).toBeLessThanOrEqual(4 * megabyte);
    expect(documents.keptBytes.known).toBeLessThan(10_000);
    const again = documents.prepare('{ viewer { id } }', null, { isKnown: true });
    expect('document' in again && 'document' in mine && again.document === mine.document).toBe(true);
  });

  test('weighs a document by its nodes, and keeps none of its tokens', () => {
    const documents = new DocumentCache(schema);
    documents.prepare('{ __typename }', null, { isKnown: true });
    const small = documents.keptBytes.known;
    const prepared = documents.prepare(wide(1), null, { isKnown: true });
    expect(documents.keptBytes.known - small).toBeGreaterThan(30 * small);
    if ('errors' in prepared) throw new Error('refused');
    expect(Object.keys(prepared.document.loc ?? {})).toEqual(['start', 'end', 'source']);
  });
});

import { printReadings, readText } from '../src/search/search-text.ts';
import { readSearch } from '../src/search/search-query.ts';
import { makeSnippet } from '../src/search/snippet.ts';
import type { Report } from './bench.ts';

const characters = 10_000;
/** The most expensive query known: five alternatives, none of which occurs in the texts. */
const query = readSearch('e or b or ß or 한 or 上海');
/** The last text triples in length when it is normalised, and has the most words for its length. */
const texts = { ordinary: 'See you at seven, the tram is late again. ', expanding: '㌖aB' };

/** Measures how long the server works on one text of the maximum length, once its code has been compiled. */
export function measureTokeniser(): Report {
  const rows = Object.entries(texts).map(([name, unit]) => {
    const text = [...unit.repeat(characters)].slice(0, characters).join('');
    return { name, index: leastMs(() => printReadings(readText(text))), mark: leastMs(() => makeSnippet(text, query)) };
  });
  return {
    title: `One text of ${characters.toLocaleString('en')} characters`,
    columns: ['text', 'to index, ms', 'to mark, ms'],
    rows: rows.map(({ name, index, mark }) => [name, index.toFixed(1), mark.toFixed(1)]),
    notes: ['The minimum of 60 runs, after 30 runs to warm up.'],
    goals: rows.flatMap(({ name, index, mark }) => [
      { name: `${name}: to index`, value: index, atMost: 10, unit: 'ms' },
      { name: `${name}: to mark`, value: mark, atMost: 10, unit: 'ms' },
    ]),
  };
}

function leastMs(work: () => unknown): number {
  for (let run = 0; run < 30; run += 1) work();
  const times = Array.from({ length: 60 }, () => {
    const before = performance.now();
    work();
    return performance.now() - before;
  });
  return Math.min(...times);
}

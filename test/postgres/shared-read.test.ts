import pg from 'pg';
import { expect, test } from 'vitest';
import { SharedRead } from '../../src/postgres/shared-read.ts';

/** Starts a reader of numbers whose statements end when the test decides. */
function startReader() {
  const statements: { keys: readonly number[]; end: (error?: Error) => void }[] = [];
  const shared = new SharedRead<number, string, number>(
    async (keys, find) => {
      const ended = Promise.withResolvers<void>();
      statements.push({ keys, end: (error) => (error === undefined ? ended.resolve() : ended.reject(error)) });
      await ended.promise;
      keys.forEach((key, index) => find(index, key * 10));
      return keys.map((key) => `value ${key}`);
    },
    { keyOf: (key) => key, maxKeys: 5 },
  );
  const ask = async (...keys: number[]) => {
    const found: number[] = [];
    return { values: Array.from(await shared.read(keys, (each) => found.push(each))), found };
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { statements, ask, turn };
}

/** Returns a PostgreSQL error with that SQLSTATE. */
function refusal(code: string): Error {
  return Object.assign(new pg.DatabaseError(`refused with ${code}`, 0, 'error'), { code });
}

test('what is asked for while two statements run is read by the next one, each key once, and everyone gets their own', async () => {
  const { statements, ask, turn } = startReader();
  const first = ask(1);
  await turn();
  const second = ask(2);
  await turn();
  const others = [ask(3, 4), ask(4, 5), ask(6, 7)];
  await turn();
  expect(statements.map(({ keys }) => keys)).toEqual([[1], [2]]);
  statements[0]?.end();
  expect(await first).toEqual({ values: ['value 1'], found: [10] });
  // A statement reads at most five keys at once, and a key that is requested twice counts twice.
  expect(statements[2]?.keys).toEqual([3, 4, 5]);
  statements[1]?.end();
  await second;
  expect(statements[3]?.keys).toEqual([6, 7]);
  for (const { end } of statements) end();
  expect(await Promise.all(others)).toEqual([
    { values: ['value 3', 'value 4'], found: [30, 40] },
    { values: ['value 4', 'value 5'], found: [40, 50] },
    { values: ['value 6', 'value 7'], found: [60, 70] },
  ]);
});

test('statements that take long do not hold up others', async () => {
  const { statements, ask, turn } = startReader();
  const slow = [ask(1), turn().then(() => ask(2))];
  await turn();
  await turn();
  const quick = ask(3);
  while (statements.length < 3) await turn();
  statements[2]?.end();
  expect((await quick).values).toEqual(['value 3']);
  for (const { end } of statements) end();
  await Promise.all(slow);
});

test.each([
  ['fails', new Error('a bad key'), 2],
  ['takes too long', refusal('57014'), 2],
  ['finds the database away', refusal('57P01'), 0],
])(
  'a statement for several that %s is repeated for each of them, unless it cannot help',
  async (_, error, repeated) => {
    const { statements, ask, turn } = startReader();
    const answers = [ask(1), ask(2)].map((answer) => answer.catch((reason: unknown) => reason));
    await turn();
    statements[0]?.end(error);
    await turn();
    expect(statements.slice(1).map(({ keys }) => keys)).toEqual(repeated === 0 ? [] : [[1], [2]]);
    statements[1]?.end();
    statements[2]?.end(error);
    expect(await Promise.all(answers)).toEqual(
      repeated === 0 ? [error, error] : [{ values: ['value 1'], found: [10] }, error],
    );
  },
);

import { expect, test } from 'vitest';
import { readPresenceChanges } from '../../src/live/presence.ts';
import { crowdSize, gatherCrowd, openAttendanceNode } from '../support/attendance.ts';

test(
  'a crowd that arrives or leaves at the same moment is reported in a few statements',
  { timeout: 60_000 },
  async () => {
    const { database, listeners, payloads } = await gatherCrowd();
    const { attendance, statements, faults } = await openAttendanceNode(database.sql);
    const told = () => payloads.flatMap(readPresenceChanges);
    for (const listener of listeners) attendance.arrive(listener);
    await expect.poll(() => told().length, { timeout: 20_000 }).toBe(crowdSize);
    expect(told().every(({ presence }) => presence.status === 'ONLINE')).toBe(true);
    expect(statements.filter((name) => name === 'attend').length).toBeLessThanOrEqual(5);

    // A user who opens another stream, or who returns immediately, causes no additional statement.
    const before = statements.filter((name) => name === 'attend').length;
    for (const listener of listeners) attendance.arrive(listener);
    for (const listener of listeners) attendance.depart(listener);
    for (const listener of listeners) attendance.depart(listener);
    for (const listener of listeners) attendance.arrive(listener);
    const beats = statements.filter((name) => name === 'beat').length;
    await expect.poll(() => statements.filter((name) => name === 'beat').length).toBeGreaterThan(beats + 1);
    expect(statements.filter((name) => name === 'attend').length).toBe(before);

    payloads.length = 0;
    for (const listener of listeners) attendance.depart(listener);
    await expect.poll(() => told().length, { timeout: 20_000 }).toBe(crowdSize);
    expect(told().every(({ presence }) => presence.status === 'OFFLINE')).toBe(true);
    expect(statements.filter((name) => name === 'attend').length).toBeLessThanOrEqual(before + 5);
    expect(Math.max(...payloads.map((payload) => Buffer.byteLength(payload)))).toBeLessThan(8_000);
    expect(faults).toEqual([]);
  },
);

test('one of many nodes sweeps for all of them', async () => {
  const { database } = await gatherCrowd();
  const nodes = await Promise.all([1, 2, 3].map(() => openAttendanceNode(database.sql)));
  const beats = () => nodes.map(({ statements }) => statements.filter((name) => name === 'beat').length);
  await expect.poll(() => Math.min(...beats())).toBeGreaterThan(2);
  const { rows } = await database.sql.query<{ node: string }>('select node from presence_nodes order by node');
  expect(rows).toHaveLength(3);
  // The other nodes leave sweeping to the first node.
  await database.sql.query(`insert into presence_nodes (node) values ('~ dead')`);
  const sweep = (node: string | undefined) =>
    database.sql.query<{ swept: boolean }>(`select sweep_presences($1, interval '1 s', interval '0.05 s') as swept`, [
      node,
    ]);
  const [, second, third] = rows;
  for (const { node } of [second, third].filter((row) => row !== undefined)) {
    const { rows: outcomes } = await sweep(node);
    expect(outcomes).toEqual([{ swept: false }]);
  }
  await expect
    .poll(async () => (await database.sql.query(`select from presence_nodes where node = '~ dead'`)).rowCount)
    .toBe(0);
});

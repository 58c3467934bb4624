import { expect, test } from 'vitest';
import { Hub } from '../../src/live/hub.ts';
import type { Outlet, Listener } from '../../src/live/listener.ts';
import { maxPresenceAudience, PresenceNews, publishPresences, readPresenceChanges } from '../../src/live/presence.ts';
import type { PresenceChange } from '../../src/live/notice.ts';

test('valid notifications between nodes are read, and all others are ignored', () => {
  expect(readPresenceChanges('1.ONLINE,9223372036854775807.AWAY,3.OFFLINE.1700000000000')).toEqual([
    { userId: 1n, presence: { status: 'ONLINE', lastSeenAt: null } },
    { userId: 9223372036854775807n, presence: { status: 'AWAY', lastSeenAt: null } },
    { userId: 3n, presence: { status: 'OFFLINE', lastSeenAt: new Date(1_700_000_000_000) } },
  ]);
  for (const other of ['', '1', '1.GONE', '1.OFFLINE', 'x.ONLINE', '1.ONLINE.5', ' 1.ONLINE', '1.ONLINE,']) {
    expect(readPresenceChanges(other).length).toBeLessThan(other === '1.ONLINE,' ? 2 : 1);
  }
});

/** Creates an outlet that records who receives what. */
function createChannel(wantsPresence = true) {
  const told: { userId: bigint; change: PresenceChange }[] = [];
  const refreshed: bigint[] = [];
  const outlet: Outlet = {
    wantsPresence,
    publish: () => undefined,
    end: () => undefined,
    publishTyping: () => undefined,
    publishPresence: (change, listeners) => told.push(...listeners.map(({ userId }) => ({ userId, change }))),
    refresh: (listeners) => refreshed.push(...listeners.map(({ userId }) => userId)),
    interrupt: () => undefined,
  };
  const take = () =>
    told
      .splice(0)
      .map(({ userId }) => userId)
      .toSorted((one, other) => Number(one - other));
  return { outlet, told, refreshed, take };
}

/** Creates a hub in which each user is in the chats that `chatsOf` returns. */
function createHub(chatsOf: (userId: bigint) => bigint[]) {
  const hub = new Hub(
    {
      readSnapshot: ({ userId }) =>
        Promise.resolve({
          head: 0n,
          prunedThrough: 0n,
          isSessionLive: true,
          memberships: chatsOf(userId).map((chatId) => ({ chatId, since: 0n, visibleFrom: 1, isWhole: false })),
        }),
      readServerSnapshot: () => Promise.resolve({ head: 0n, isSessionLive: true }),
      readAddedMembers: () => Promise.resolve([]),
      readCircles: () => Promise.resolve(new Map()),
      readRecipients: () => Promise.resolve([]),
    },
    { arrive: () => undefined, depart: () => undefined },
  );
  const join = async (userId: bigint, outlet: Outlet) => {
    const listener: Listener = { userId, sessionId: userId, chatId: null, isPublicReader: false, outlet };
    await hub.join(listener);
    return listener;
  };
  const tell = (change: PresenceChange, chatIds: bigint[], blocks: { blockerId: bigint; blockedId: bigint }[] = []) =>
    publishPresences(hub, [change], {
      circles: new Map([[change.userId, chatIds]]),
      blocks,
      watchers: hub.watchers().map(({ userId }) => userId),
    });
  return { hub, join, tell };
}

const cameOnline = (userId: bigint): PresenceChange => ({ userId, presence: { status: 'ONLINE', lastSeenAt: null } });

test('in a chat with very many users present, no one receives presence changes', async () => {
  const [small, large] = [1n, 2n];
  const { outlet, take } = createChannel();
  const { hub, join, tell } = createHub((userId) => [...(userId <= 3n ? [small] : []), large]);
  for (let userId = 1n; userId <= BigInt(maxPresenceAudience); userId += 1n) await join(userId, outlet);
  tell(cameOnline(0n), [small, large]);
  expect(take()).toHaveLength(maxPresenceAudience);
  const oneMore = await join(BigInt(maxPresenceAudience) + 1n, outlet);
  tell(cameOnline(0n), [small, large]);
  expect(take()).toEqual([1n, 2n, 3n]);
  hub.leave(oneMore);
  tell(cameOnline(0n), [small, large]);
  expect(take()).toHaveLength(maxPresenceAudience);
});

test('for a user in very many chats, a limited number of users receive presence changes, those in the smallest chats first', async () => {
  // There are forty chats of a hundred users each, and one chat of three users.
  const { outlet, take } = createChannel();
  const { join, tell } = createHub((userId) => (userId <= 3n ? [100n] : [userId % 40n]));
  for (let userId = 1n; userId <= 4_003n; userId += 1n) await join(userId, outlet);
  tell(
    cameOnline(0n),
    Array.from({ length: 101 }, (_, chatId) => BigInt(chatId)),
  );
  const told = take();
  expect(told.slice(0, 3)).toEqual([1n, 2n, 3n]);
  expect(told.length).toBeGreaterThan(1_000);
  expect(told.length).toBeLessThanOrEqual(2_000);
});

test('users who are blocked, who did not subscribe to presence, or who have just arrived receive no presence changes', async () => {
  const [asking, quiet] = [createChannel(), createChannel(false)];
  const { hub, join, tell } = createHub(() => [1n]);
  await join(1n, asking.outlet);
  await join(2n, asking.outlet);
  await join(3n, quiet.outlet);
  tell(cameOnline(0n), [1n], [{ blockerId: 0n, blockedId: 2n }]);
  expect([asking.take(), quiet.take()]).toEqual([[1n], []]);
  publishPresences(hub, [cameOnline(0n)], { circles: new Map([[0n, [1n]]]), blocks: [], watchers: [2n] });
  expect(asking.take()).toEqual([2n]);
});

/** Creates a PresenceNews on that hub, with lookups that finish when the test decides. */
function createNews(hub: Hub) {
  const lookups: { about: readonly bigint[]; finish: (isThere?: boolean) => void }[] = [];
  const reports: string[] = [];
  const news = new PresenceNews({
    hub,
    readCircles: (about) =>
      new Promise((resolve, reject) => {
        lookups.push({
          about,
          finish: (isThere = true) =>
            isThere ? resolve(new Map(about.map((id) => [id, [1n]]))) : reject(new Error('the database is away')),
        });
      }),
    readBlocks: () => Promise.resolve([]),
    whenRead: () => Promise.resolve(true),
    position: () => 5n,
    report: (_, message) => reports.push(message),
  });
  return { news, lookups, reports };
}

test('changes are sent one batch after another, and if one user changes several times, only the last change is sent', async () => {
  const { outlet, told } = createChannel();
  const { hub, join } = createHub(() => [1n]);
  await join(1n, outlet);
  const { news, lookups } = createNews(hub);
  const lookup = async (count: number) => {
    await expect.poll(() => lookups.length).toBe(count);
    return lookups[count - 1];
  };
  const left: PresenceChange = { userId: 7n, presence: { status: 'OFFLINE', lastSeenAt: new Date(0) } };
  news.hear([cameOnline(7n)]);
  const first = await lookup(1);
  for (let userId = 100n; userId < 5_100n; userId += 1n) news.hear([cameOnline(userId)]);
  news.hear([left]);
  news.hear([cameOnline(7n)]);
  news.hear([left]);
  first?.finish();
  // Only one batch is looked up at a time, and no batch exceeds the maximum size.
  for (let count = 2; count <= 27; count += 1) {
    const next = await lookup(count);
    expect(next?.about.length).toBeLessThanOrEqual(200);
    next?.finish();
  }
  await expect.poll(() => told.length).toBe(5_002);
  expect(told.filter(({ change }) => change.userId === 7n).map(({ change }) => change)).toEqual([cameOnline(7n), left]);
});

test('when changes can’t be sent, subscribers are notified to fetch presence again, and later changes are sent as usual', async () => {
  const [asking, quiet] = [createChannel(), createChannel(false)];
  const { hub, join } = createHub(() => [1n]);
  await join(1n, asking.outlet);
  await join(2n, quiet.outlet);
  const { news, lookups, reports } = createNews(hub);
  news.hear([cameOnline(7n)]);
  await expect.poll(() => lookups.length).toBe(1);
  lookups[0]?.finish(false);
  await expect.poll(() => asking.refreshed).toEqual([1n]);
  expect([quiet.refreshed, reports]).toEqual([[], ['presence changes could not be sent']]);
  news.hear([cameOnline(8n)]);
  await expect.poll(() => lookups.length).toBe(2);
  lookups[1]?.finish();
  await expect.poll(() => asking.take()).toEqual([1n]);
});

test('if no one has subscribed to presence, nothing is looked up', async () => {
  const { outlet } = createChannel(false);
  const { hub, join } = createHub(() => [1n]);
  await join(1n, outlet);
  const { news, lookups } = createNews(hub);
  news.hear([cameOnline(7n)]);
  await join(2n, createChannel().outlet);
  news.hear([cameOnline(8n)]);
  await expect.poll(() => lookups.length).toBe(1);
  expect(lookups[0]?.about).toEqual([8n]);
});

import { expect } from 'vitest';
import { heardBy, keyOf } from './chat.ts';
import { ask, type Data, type Person } from './client.ts';
import type { TestServer } from './server.ts';
import { followEvents, matching, type EventStream } from './stream.ts';

/** Presence settings with much shorter times than in production. */
export const attendanceTimes = { flush: 10, grace: 300, beat: 100, expiry: 1_000 };

/** A subscription that shows who is online. */
export const presenceDocument = `subscription { events { cursor event {
  __typename
  ... on NewChat { chat { name } }
  ... on PresenceChanged { userId user { username } presence { status lastSeenAt } }
} } }`;

/** Follows presence. */
export const follow = (node: TestServer, person: { token: string }) =>
  followEvents(node, person, { document: presenceDocument });

/** Opens a stream whose only effect is that its user is online. */
export const attend = (node: { url: string }, person: { token: string }) =>
  followEvents(node, person, { document: 'subscription { events { event { __typename } } }' });

/** Matches the frame that reports this presence. */
export const changed = (person: Person, status: string) =>
  matching({ __typename: 'PresenceChanged', userId: person.userId, presence: { status } });

/** Returns a user's presence as another user sees it, on any node. */
export async function presenceOf(person: Person, by: Person, node?: { url: string }): Promise<Data> {
  const document = 'query ($id: ID!) { node(id: $id) { ... on User { presence { status lastSeenAt } } } }';
  const variables = { id: person.userId };
  const answer = node ? await ask(node.url, document, variables, by.token) : await by.ask(document, variables);
  return answer.node.presence;
}

/**
 * Reports whether a user is active on this device, with a lease of `expiresInSeconds` if that is given. Returns the
 * whole result, including errors.
 */
export async function setPresence(by: Person, status: string, expiresInSeconds?: number): Promise<Data> {
  const mutation = `mutation ($status: PresenceStatus!, $expiresInSeconds: Int) {
    setPresence(status: $status, expiresInSeconds: $expiresInSeconds) {
      __typename ... on Presence { status } ... on InvalidInput { fields { path } }
    }
  }`;
  return (await by.ask(mutation, { status, expiresInSeconds })).setPresence;
}

/**
 * Returns the presence changes of one user that have arrived so far on a stream, without those that an earlier call
 * returned.
 */
export async function changesHeard(listener: Person, stream: EventStream, about: Person): Promise<string[]> {
  const heard = await heardBy(listener, stream);
  return heard.flatMap(({ userId, presence }) => (userId === about.userId ? [presence.status] : []));
}

/** Waits until `count` of a user's sessions are connected. */
export async function untilHere(server: TestServer, person: Person, count: number): Promise<void> {
  const text = 'select from session_presences where user_id = $1';
  await expect.poll(async () => (await server.sql.query(text, [keyOf(person.userId)])).rowCount).toBe(count);
}

/** Creates a lease for a node that does not exist. `until` is the time when it expires, as an SQL expression. */
export async function leaseTo(server: TestServer, node: string, until: string): Promise<void> {
  await server.sql.query(
    `insert into leases (name, holder, until) values ($1, gen_random_uuid(), ${until})
    on conflict (name) do update set until = excluded.until`,
    [node],
  );
}

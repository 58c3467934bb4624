import type { Client } from 'parley-client';
import { graphql, query } from 'parley-client/tada';

const revokeDocument = graphql('mutation RevokeSession($id: ID!) { revokeSession(sessionId: $id) { __typename } }');

/** The user whose password is new, with the session that its change has begun. */
export type AgainViewer = { readonly email: string | null; readonly sessions: readonly { readonly id: string }[] };

/**
 * Signs a user in with a new password. The change has begun a session of its own, which no device uses: it ends the
 * others, and this ends it.
 */
export async function signInAgain(client: Client, { email, sessions }: AgainViewer, password: string): Promise<void> {
  if (email === null) return;
  await client.signIn({ email, password });
  for (const { id } of sessions) await query(client, revokeDocument, { id });
}

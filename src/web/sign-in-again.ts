import type { Client } from 'parley-client';
import { graphql, query } from 'parley-client/tada';

const revokeDocument = graphql('mutation RevokeSession($id: ID!) { revokeSession(sessionId: $id) { __typename } }');

/** The user, with the new password, and the session that the password change has started. */
export type AgainViewer = { readonly email: string | null; readonly sessions: readonly { readonly id: string }[] };

/**
 * Signs a user in with a new password. The password change has ended all other sessions and started a session that no
 * device uses. This function ends that session too.
 */
export async function signInAgain(client: Client, { email, sessions }: AgainViewer, password: string): Promise<void> {
  if (email === null) return;
  await client.signIn({ email, password });
  for (const { id } of sessions) await query(client, revokeDocument, { id });
}

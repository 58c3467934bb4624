import type { Client } from 'parley-client';
import { graphql, query } from 'parley-client/tada';

const revokeDocument = graphql('mutation RevokeSession($id: ID!) { revokeSession(sessionId: $id) { __typename } }');

/** The user with the new password, and the session that the change has begun. */
export type AgainViewer = { readonly email: string | null; readonly sessions: readonly { readonly id: string }[] };

/**
 * Signs a user in with a new password. The change has ended all other sessions and begun one that no device uses; this
 * ends that one too.
 */
export async function signInAgain(client: Client, { email, sessions }: AgainViewer, password: string): Promise<void> {
  if (email === null) return;
  await client.signIn({ email, password });
  for (const { id } of sessions) await query(client, revokeDocument, { id });
}

import type { Data, Person, Variables } from './client.ts';

/** Lists public channels. The variables are `search`, `first` and `after`. */
export const publicChannelsDocument = `query ($search: String, $first: Int, $after: String) {
  publicChannels(search: $search, first: $first, after: $after) {
    edges { cursor node { id name type memberCount viewerMembership { role } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;

/** Returns a page of the public channels, as that user sees it. */
export async function listPublicChannels(by: Person, variables: Variables = {}): Promise<Data> {
  return (await by.ask(publicChannelsDocument, variables)).publicChannels;
}

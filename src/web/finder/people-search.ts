import { graphql, query } from 'parley-client/tada';
import type { Client, User } from 'parley-client';
import { useCallback } from 'react';
import { useLoaded, useSettled } from '../load.ts';

const usersDocument = graphql(`
  query FindUsers($search: String!) {
    users(search: $search, first: 12) {
      edges {
        node {
          id
          username
          displayName
          kind
          avatar {
            id
          }
        }
      }
    }
  }
`);

const none: readonly User[] = [];

/** Returns the users whose names match the text, or none if the text is empty. */
export function usePeople(text: string): readonly User[] {
  const search = useSettled(text.trim());
  const ask = useCallback(
    async (client: Client) => {
      if (search === '') return none;
      const { users } = await query(client, usersDocument, { search });
      return users.edges.map(({ node }) => node);
    },
    [search],
  );
  return useLoaded(ask).data ?? none;
}

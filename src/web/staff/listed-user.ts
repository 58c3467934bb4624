import { graphql, type ResultOf } from 'parley-client/tada';
import { staffUser } from './staff-user.ts';

/** The newest users: either all of them, or those that match a search or are suspended. */
export const usersDocument = graphql(
  `
    query StaffUsers($search: String, $isSuspended: Boolean, $first: Int!) {
      admin {
        users(search: $search, isSuspended: $isSuspended, first: $first) {
          edges {
            node {
              id
              email
              serverRole
              suspension {
                until
                reason
              }
              user {
                ...StaffUser
              }
            }
          }
          pageInfo {
            hasNextPage
          }
        }
      }
    }
  `,
  [staffUser],
);

type Admin = NonNullable<ResultOf<typeof usersDocument>['admin']>;
/** A user as the server staff see them. */
export type ListedUser = NonNullable<Admin['users']>['edges'][number]['node'];

import { graphql, type ResultOf } from 'parley-client/tada';
import { staffUser } from './staff-user.ts';

/** The newest reports: either the open reports or the resolved reports. */
export const reportsDocument = graphql(
  `
    query Reports($isOpen: Boolean!, $first: Int!) {
      admin {
        reports(isOpen: $isOpen, first: $first) {
          edges {
            node {
              id
              reason
              comment
              createdAt
              resolvedAt
              resolution
              note
              author {
                ...StaffUser
              }
              reporter {
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

type Admin = NonNullable<ResultOf<typeof reportsDocument>['admin']>;
/** A report without its evidence. Each access to the evidence is logged, so it is fetched only on request. */
export type Report = NonNullable<Admin['reports']>['edges'][number]['node'];

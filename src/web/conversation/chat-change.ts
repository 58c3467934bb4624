import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { useMemo } from 'react';
import { useAttempt } from '../notice.tsx';

const failure = graphql('fragment Failure on Error @_unmask { code message }');

const levelDocument = graphql(
  'mutation Level($id: ID!, $level: NotificationLevel!) { setNotificationLevel(chatId: $id, level: $level) { __typename ...Failure } }',
  [failure],
);
const leaveDocument = graphql('mutation Leave($id: ID!) { leaveChat(chatId: $id) { __typename ...Failure } }', [
  failure,
]);
const deleteDocument = graphql('mutation DeleteChat($id: ID!) { deleteChat(chatId: $id) { __typename ...Failure } }', [
  failure,
]);
const blockDocument = graphql('mutation Block($id: ID!) { blockUser(userId: $id) { __typename ...Failure } }', [
  failure,
]);
const unblockDocument = graphql('mutation Unblock($id: ID!) { unblockUser(userId: $id) { __typename ...Failure } }', [
  failure,
]);
const addDocument = graphql(
  'mutation Add($id: ID!, $ids: [ID!]!, $history: SharedHistory) { addMembers(chatId: $id, userIds: $ids, history: $history) { __typename ...Failure } }',
  [failure],
);
const removeDocument = graphql(
  'mutation Remove($id: ID!, $user: ID!) { removeMember(chatId: $id, userId: $user) { __typename ...Failure } }',
  [failure],
);
const banDocument = graphql(
  'mutation Ban($id: ID!, $user: ID!, $until: DateTime, $reason: String) { banMember(chatId: $id, userId: $user, until: $until, reason: $reason) { __typename ...Failure } }',
  [failure],
);
const muteDocument = graphql(
  'mutation Mute($id: ID!, $user: ID!, $until: DateTime) { muteMember(chatId: $id, userId: $user, until: $until) { __typename ...Failure } }',
  [failure],
);
const roleDocument = graphql(
  'mutation Role($id: ID!, $user: ID!, $role: MemberRole!) { setMemberRole(chatId: $id, userId: $user, role: $role) { __typename ...Failure } }',
  [failure],
);
const avatarDocument = graphql(
  'mutation SetChatAvatar($id: ID!, $fileId: ID) { setAvatar(chatId: $id, fileId: $fileId) { __typename ...Failure } }',
  [failure],
);
const updateDocument = graphql(
  `
    mutation UpdateChat($input: UpdateChatInput!) {
      updateChat(input: $input) {
        __typename
        ...Failure
        ... on InvalidInput {
          fields {
            path
            message
          }
        }
      }
    }
  `,
  [failure],
);

/**
 * The changes that the viewer can make to a chat and to the users they block. Each function shows an error if the
 * change fails, and resolves to whether it succeeded.
 */
export function useChatChanges(id: string) {
  const client = useClient();
  const attempt = useAttempt();
  return useMemo(
    () => ({
      setLevel: (level: 'ALL' | 'MENTIONS' | 'NONE') => attempt(() => query(client, levelDocument, { id, level })),
      leave: () => attempt(() => query(client, leaveDocument, { id })),
      remove: () => attempt(() => query(client, deleteDocument, { id })),
      block: (user: string) => attempt(() => query(client, blockDocument, { id: user })),
      unblock: (user: string) => attempt(() => query(client, unblockDocument, { id: user })),
      add: (ids: string[], history: 'ALL' | 'FROM_NOW') =>
        attempt(() => query(client, addDocument, { id, ids, history })),
      removeMember: (user: string) => attempt(() => query(client, removeDocument, { id, user })),
      /** If `until` is null, the ban has no end. */
      ban: (user: string, { until, reason }: { until: string | null; reason: string }) =>
        attempt(() => query(client, banDocument, { id, user, until, reason: reason === '' ? null : reason })),
      /** If `until` is null, the mute ends. */
      mute: (user: string, until: string | null) => attempt(() => query(client, muteDocument, { id, user, until })),
      setRole: (user: string, role: 'OWNER' | 'ADMIN' | 'MEMBER') =>
        attempt(() => query(client, roleDocument, { id, user, role })),
      /** Null removes the picture. */
      setPicture: (picture: File | null) =>
        attempt(async () => {
          const file = picture === null ? null : await (await client.upload(picture)).done;
          await query(client, avatarDocument, { id, fileId: file?.id ?? null });
        }),
      update: (input: {
        name?: string;
        description?: string | null;
        slowModeSeconds?: number;
        type?: 'GROUP' | 'PRIVATE_CHANNEL' | 'PUBLIC_CHANNEL';
      }) => attempt(() => query(client, updateDocument, { input: { chatId: id, ...input } })),
    }),
    [client, attempt, id],
  );
}

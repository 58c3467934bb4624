import { builder } from '../api/builder.ts';
import { memberKeyOf, type MemberKey } from './member.ts';

/** The roles that a member can have. */
export const MemberRoleRef = builder.enumType('MemberRole', { values: ['OWNER', 'ADMIN', 'MEMBER'] as const });

/** The type `Member`, without its fields. */
export const MemberRef = builder.prismaNode('Member', {
  id: { resolve: memberKeyOf },
  findUnique: (key) => ({ chatId_userId: readMemberKey(key) }),
  fields: () => ({}),
});

/** A page of members. */
export const MemberConnectionRef = builder.connectionObject(
  { type: MemberRef, name: 'MemberConnection' },
  { name: 'MemberEdge' },
);

/** Parses the key of a Member node; the inverse of `memberKeyOf`. */
export function readMemberKey(key: string): MemberKey {
  const [chatId = '0', userId = '0'] = key.split('_');
  return { chatId: BigInt(chatId), userId: BigInt(userId) };
}

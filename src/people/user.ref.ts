import { builder } from '../api/builder.ts';

/** The properties of a user that every signed-in user can see. The email address is not one of them. */
export const UserRef = builder.prismaNode('User', { id: { field: 'id' }, fields: () => ({}) });

/** A page of users. */
export const UserConnectionRef = builder.connectionObject(
  { type: UserRef, name: 'UserConnection' },
  { name: 'UserEdge' },
);

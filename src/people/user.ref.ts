import { builder } from '../api/builder.ts';

/** The properties of a user that every signed-in user can see. They do not include the email address. */
export const UserRef = builder.prismaNode('User', { id: { field: 'id' }, fields: () => ({}) });

/** A page of users. */
export const UserConnectionRef = builder.connectionObject(
  { type: UserRef, name: 'UserConnection' },
  { name: 'UserEdge' },
);

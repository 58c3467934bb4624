import { builder } from '../api/builder.ts';

/** What everyone signed in sees of a person. The e-mail address is not part of it. */
export const UserRef = builder.prismaNode('User', { id: { field: 'id' }, fields: () => ({}) });

export const UserConnectionRef = builder.connectionObject(
  { type: UserRef, name: 'UserConnection' },
  { name: 'UserEdge' },
);

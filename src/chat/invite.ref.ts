import { builder } from '../api/builder.ts';
import type { Invite } from '../postgres/generated/prisma/client.ts';

/** The type `Invite`, without its fields. */
export const InviteRef = builder.objectRef<Invite>('Invite');

/** A page of invites. */
export const InviteConnectionRef = builder.connectionObject(
  { type: InviteRef, name: 'InviteConnection' },
  { name: 'InviteEdge' },
);

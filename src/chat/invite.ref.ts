import { builder } from '../api/builder.ts';
import type { Invite } from '../postgres/generated/prisma/client.ts';

export const InviteRef = builder.objectRef<Invite>('Invite');

export const InviteConnectionRef = builder.connectionObject(
  { type: InviteRef, name: 'InviteConnection' },
  { name: 'InviteEdge' },
);

import { builder } from '../api/builder.ts';
import type { Restriction } from '../postgres/generated/prisma/client.ts';

/** The type `Ban`, without its fields. */
export const BanRef = builder.objectRef<Restriction>('Ban');

/** A page of bans. */
export const BanConnectionRef = builder.connectionObject({ type: BanRef, name: 'BanConnection' }, { name: 'BanEdge' });

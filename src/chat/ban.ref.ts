import { builder } from '../api/builder.ts';
import type { Restriction } from '../postgres/generated/prisma/client.ts';

export const BanRef = builder.objectRef<Restriction>('Ban');

export const BanConnectionRef = builder.connectionObject({ type: BanRef, name: 'BanConnection' }, { name: 'BanEdge' });

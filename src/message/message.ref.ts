import { builder } from '../api/builder.ts';

export const MessageRef = builder.prismaNode('Message', { id: { field: 'id' }, fields: () => ({}) });

export const MessageConnectionRef = builder.connectionObject(
  { type: MessageRef, name: 'MessageConnection' },
  { name: 'MessageEdge' },
);

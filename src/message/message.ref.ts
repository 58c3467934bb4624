import { builder } from '../api/builder.ts';

export const MessageRef = builder.prismaNode('Message', { id: { field: 'id' }, fields: () => ({}) });

export const MessageEdgeRef = builder.edgeObject({ type: MessageRef, name: 'MessageEdge' });

export const MessageConnectionRef = builder.connectionObject(
  { type: MessageRef, name: 'MessageConnection' },
  MessageEdgeRef,
);

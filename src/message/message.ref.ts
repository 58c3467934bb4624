import { builder } from '../api/builder.ts';

/** The type `Message`, without its fields. */
export const MessageRef = builder.prismaNode('Message', { id: { field: 'id' }, fields: () => ({}) });

/** A message together with its cursor. */
export const MessageEdgeRef = builder.edgeObject({ type: MessageRef, name: 'MessageEdge' });

/** A page of messages. */
export const MessageConnectionRef = builder.connectionObject(
  { type: MessageRef, name: 'MessageConnection' },
  MessageEdgeRef,
);

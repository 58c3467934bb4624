import { builder } from '../api/builder.ts';

/** An API key as admins see it, which never includes the secret. */
export const ApiKeyRef = builder.prismaNode('ApiKey', {
  id: { field: 'id' },
  description: 'The key with which a program authenticates itself: `Authorization: Bearer <secret>`.',
});

import { builder } from '../api/builder.ts';

/** One signed-in device. */
export const SessionRef = builder.prismaNode('Session', {
  id: { field: 'id' },
  description: 'One signed-in device.',
  fields: () => ({}),
});

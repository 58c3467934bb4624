import { builder } from '../api/builder.ts';
import { AdminRef } from './admin.ref.ts';
import { isAllowed } from './staff.ts';

AdminRef.implement({
  description: `The server as its staff see it. A field that the viewer's role may not read is null: moderators see reports and users, but not users' email addresses and sessions; admins see everything.`,
});

builder.queryField('admin', (t) =>
  t.field({
    type: AdminRef,
    nullable: true,
    description: 'Null for a viewer who is neither a moderator nor an admin of the server.',
    resolve: async (_, __, context) => {
      const asker = context.asker();
      return asker !== null && (await isAllowed(context.loaders, asker, 'readReports')) ? { asker } : null;
    },
  }),
);

import { builder } from '../api/builder.ts';
import { AdminRef } from './admin.ref.ts';
import { isAllowed } from './staff.ts';

AdminRef.implement({
  description: `The server as seen by its staff. Fields that the viewer's role may not read are null: moderators see reports and users, but not users' email addresses and sessions; admins see everything.`,
});

builder.queryField('admin', (t) =>
  t.field({
    type: AdminRef,
    nullable: true,
    description: 'Null if the viewer is neither a moderator nor an admin of the server.',
    resolve: async (_, __, context) => {
      const asker = context.asker();
      return asker !== null && (await isAllowed(context.loaders, asker, 'readReports')) ? { asker } : null;
    },
  }),
);

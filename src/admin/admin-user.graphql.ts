import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireCaller, type Context } from '../api/context.ts';
import { builder } from '../api/builder.ts';
import { textSize } from '../api/field-size.ts';
import { registerNode } from '../api/node.ts';
import { AccountGoneRef, ErasedMessagesRef } from '../account/account-deletion.ref.ts';
import { maxEmailLength } from '../account/email.ts';
import { maxSessionsPerPerson } from '../account/session.ts';
import { SessionRef } from '../account/session.ref.ts';
import { suspensionOf, type Suspension } from '../account/suspension.ts';
import { ViewerRef } from '../account/viewer.ref.ts';
import { decodeId } from '../core/id.ts';
import { maxDescriptionLength } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { userById } from '../people/user.ts';
import { UserRef } from '../people/user.ref.ts';
import { lists, readPage } from '../postgres/page.ts';
import { searchCost } from '../search/search-turn.ts';
import { AdminRef, AdminUserRef, ServerRoleRef, type AdminUser } from './admin.ref.ts';
import { listUsers } from './admin-user.ts';
import { setServerRole } from './server-role.ts';
import { isAllowed, serverRoleOf } from './staff.ts';
import { eraseUser } from './user-erasure.ts';
import { endSession, sessionsOf } from './user-session.ts';
import { suspendUser, unsuspendUser } from './user-suspension.ts';

const SuspensionRef = builder.objectRef<Suspension>('Suspension').implement({
  fields: (t) => ({
    since: t.expose('since', { type: 'DateTime' }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'Null if the suspension does not end by itself.',
    }),
    reason: t.exposeString('reason', { nullable: true, extensions: textSize(maxDescriptionLength) }),
  }),
});

builder.node(AdminUserRef, {
  description: 'A user as seen by the server staff.',
  id: { resolve: ({ user }) => String(user.id) },
  fields: (t) => ({
    user: t.field({ type: UserRef, resolve: ({ user }) => user }),
    email: t.string({
      nullable: true,
      extensions: textSize(maxEmailLength),
      description: 'For admins.',
      resolve: async ({ user }, _, context) =>
        (await isAllowed(context.loaders, requireCaller(context), 'readAddress')) ? user.email : null,
    }),
    serverRole: t.field({ type: ServerRoleRef, resolve: ({ user }) => user.serverRole }),
    suspension: t.field({
      type: SuspensionRef,
      nullable: true,
      description: 'Null if the user is not currently suspended.',
      resolve: ({ user }, _, { loaders }) => loaders.of(suspensionOf).load(user.id),
    }),
    sessions: t.field({
      type: [SessionRef],
      nullable: { list: true, items: false },
      description: 'For admins. Most recently used first.',
      complexity: { field: 1, multiplier: maxSessionsPerPerson },
      resolve: async ({ user }, _, context) =>
        (await isAllowed(context.loaders, requireCaller(context), 'readSessions'))
          ? context.loaders.of(sessionsOf).load(user.id)
          : null,
    }),
  }),
});

registerNode('AdminUser', async ({ loaders, asker }, keys) => {
  const reader = asker();
  if (reader === null || !(await isAllowed(loaders, reader, 'listUsers'))) return new Map();
  const users = await Promise.all(keys.map((key) => loaders.of(userById).load(BigInt(key))));
  return new Map(users.flatMap((user) => (user === null ? [] : [[String(user.id), { user }]])));
});

const AdminUserConnectionRef = builder.connectionObject(
  { type: AdminUserRef, name: 'AdminUserConnection' },
  { name: 'AdminUserEdge' },
);

builder.objectFields(AdminRef, (t) => ({
  users: t.field({
    type: AdminUserConnectionRef,
    nullable: true,
    description: `Newest first. \`search\` finds users whose username or display name starts with this text; for admins, it also finds the user with this email address.`,
    args: { search: t.arg.string(), isSuspended: t.arg.boolean(), ...t.arg.connectionArgs() },
    complexity: (args) => ({ ...pageComplexity(args), field: searchCost }),
    resolve: async ({ asker }, { search, isSuspended, ...args }, context) => {
      const page = await listUsers(context.searches, asker, {
        filter: { search: search ?? null, isSuspended: isSuspended ?? null },
        withAddress: await isAllowed(context.loaders, asker, 'readAddress'),
        page: readPage(args, lists.adminUsers),
      });
      return toConnection(
        lists.adminUsers,
        { ...page, rows: page.rows.map((user): AdminUser => ({ user })) },
        ({ user }) => [user.id],
      );
    },
  }),
  user: t.field({
    type: AdminUserRef,
    nullable: true,
    args: { id: t.arg.id({ required: true, description: 'The id of a User.' }) },
    resolve: (_, { id }, context) => findUser(context, decodeId('User', id, ['id'])),
  }),
}));

async function findUser({ loaders }: Context, userId: bigint): Promise<AdminUser | null> {
  const user = await loaders.of(userById).load(userId);
  return user && { user };
}

/** Returns the user after the change. */
async function requireUser(context: Context, userId: bigint): Promise<AdminUser> {
  const user = await findUser(context, userId);
  if (user === null) throw new NotFound('There is no such user.');
  return user;
}

builder.objectField(ViewerRef, 'serverRole', (t) =>
  t.field({
    type: ServerRoleRef,
    resolve: ({ asker }, _, { loaders }) => serverRoleOf(loaders, asker),
  }),
);

builder.mutationFields((t) => ({
  suspendUser: t.field({
    type: AdminUserRef,
    description: `For admins, and for moderators if the user has no role on the server. The sessions and streams of the user end, and the user cannot sign in. Suspending a suspended user again replaces the end and the reason of the suspension.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: {
      userId: t.arg.id({ required: true }),
      until: t.arg({ type: 'DateTime', description: 'If null, the suspension lasts until unsuspendUser is called.' }),
      reason: t.arg.string({
        description: `Shown to the user. 1 to ${maxDescriptionLength} characters; the only control characters allowed are newline and tab.`,
      }),
    },
    resolve: async (_, { userId: id, until, reason }, context) => {
      const userId = decodeId('User', id, ['userId']);
      const suspension = { userId, until: until ?? null, reason: reason ?? null };
      await suspendUser(context.accounts, requireCaller(context), suspension);
      return requireUser(context, userId);
    },
  }),
  unsuspendUser: t.field({
    type: AdminUserRef,
    description: 'For staff who may suspend the user. Has no effect if the user is not suspended.',
    errors: { types: [NotFound, Forbidden] },
    args: { userId: t.arg.id({ required: true }) },
    resolve: async (_, { userId: id }, context) => {
      const userId = decodeId('User', id, ['userId']);
      await unsuspendUser(context.accounts, requireCaller(context), userId);
      return requireUser(context, userId);
    },
  }),
  setServerRole: t.field({
    type: AdminUserRef,
    description: 'For admins. Forbidden for the last admin, who cannot lose the role.',
    errors: { types: [NotFound, Forbidden] },
    args: { userId: t.arg.id({ required: true }), role: t.arg({ type: ServerRoleRef, required: true }) },
    resolve: async (_, { userId: id, role }, context) => ({
      user: await setServerRole(context.db, requireCaller(context), { userId: decodeId('User', id, ['userId']), role }),
    }),
  }),
  endSession: t.field({
    type: SessionRef,
    description: 'For admins. Ends a session of any user, together with its tokens and open streams.',
    errors: { types: [NotFound, Forbidden] },
    args: { sessionId: t.arg.id({ required: true }) },
    resolve: (_, { sessionId }, context) =>
      endSession(context.accounts, requireCaller(context), decodeId('Session', sessionId, ['sessionId'])),
  }),
  eraseUser: t.field({
    type: AccountGoneRef,
    description: 'For admins. Erases the account of another user in the same way as deleteAccount.',
    errors: { types: [NotFound, Forbidden] },
    args: { userId: t.arg.id({ required: true }), messages: t.arg({ type: ErasedMessagesRef, required: true }) },
    resolve: async (_, { userId: id, messages }, context) => {
      const userId = decodeId('User', id, ['userId']);
      await eraseUser(context.accounts, requireCaller(context), { userId, messages });
      context.continueDeletions();
      return { userId };
    },
  }),
}));

import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { asciiSize } from '../api/field-size.ts';
import { registerNode } from '../api/node.ts';
import { decodeId, encodeId, parseId } from '../core/id.ts';
import { InvalidInput } from '../errors.ts';
import { userById } from '../people/user.ts';
import { UserRef } from '../people/user.ref.ts';
import { lists, readPage } from '../postgres/page.ts';
import { AdminRef } from './admin.ref.ts';
import { detailOf, findAuditEntries, listAuditEntries, ownRole } from './audit-entry.ts';
import { apiKeyById } from './api-key.ts';
import { ApiKeyRef } from './api-key.ref.ts';
import { isAllowed } from './staff.ts';

/** The database limits the length of a detail, before its ids become global ids. */
const detailSize = asciiSize(2 * 4_096);

const AuditEntryRef = builder.prismaNode('AuditEntry', {
  id: { field: 'id' },
  description:
    'An action on a user, a report, an API key, a webhook or an imported chat. Entries are deleted once they are older than AUDIT_RETENTION.',
  fields: (t) => ({
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    actor: t.field({
      type: UserRef,
      nullable: true,
      description: `Who took the action. Null if the action was taken by the server itself, by someone with access to the database, or by a program with a server key that such a person created. Also null after the account of the user is erased.`,
      resolve: ({ actorId }, _, { loaders }) => (actorId === null ? null : loaders.of(userById).load(actorId)),
    }),
    action: t.exposeString('action', {
      extensions: asciiSize(64),
      description:
        'Usually named after a mutation, e.g. SUSPEND_USER or UNSUSPEND_USER. Future versions will add more.',
    }),
    targetId: t.id({
      nullable: true,
      description: "The id of the action's target, which may no longer exist.",
      resolve: ({ targetType, targetKey }) =>
        targetType === null || targetKey === null ? null : encodeId(targetType, targetKey),
    }),
  }),
});

builder.prismaObjectField(AuditEntryRef, 'apiKey', (t) =>
  t.field({
    type: ApiKeyRef,
    nullable: true,
    description: `The API key of the program that took the action; null if no program did. If a program did it, \`actor\` is the key's bot or the user who created the key, and \`detail.actedAs\` is the user that the program acted as.`,
    resolve: ({ apiKeyId }, _, { loaders }) => (apiKeyId === null ? null : loaders.of(apiKeyById).load(apiKeyId)),
  }),
);

builder.prismaObjectField(AuditEntryRef, 'detail', (t) =>
  t.field({
    type: 'JSON',
    extensions: detailSize,
    description: `An object that contains ids and enum values, but no names, addresses or text. \`source: "DATABASE"\` means that someone used psql or a similar tool with a database role other than the server's, even if \`actor\` names a user.`,
    resolve: async (entry, _, { loaders }) => detailOf(entry, await loaders.of(ownRole).load('role')),
  }),
);

registerNode('AuditEntry', async ({ db, loaders, asker }, keys) => {
  const reader = asker();
  if (reader === null || !(await isAllowed(loaders, reader, 'readAuditLog'))) return new Map();
  const entries = await findAuditEntries(db, keys.map(BigInt));
  return new Map(entries.map((entry) => [String(entry.id), entry]));
});

const AuditEntryConnectionRef = builder.connectionObject(
  { type: AuditEntryRef, name: 'AuditEntryConnection' },
  { name: 'AuditEntryEdge' },
);

builder.objectField(AdminRef, 'auditLog', (t) =>
  t.field({
    type: AuditEntryConnectionRef,
    nullable: true,
    description:
      'For admins. Audited actions, newest first. `actorId` is the id of a User, and `targetId` is the id of any object.',
    args: { actorId: t.arg.id(), targetId: t.arg.id(), ...t.arg.connectionArgs() },
    complexity: pageComplexity,
    resolve: async ({ asker }, { actorId, targetId, ...args }, { db, loaders }) => {
      if (!(await isAllowed(loaders, asker, 'readAuditLog'))) return null;
      const filter = {
        actorId: actorId == null ? null : decodeId('User', actorId, ['actorId']),
        target: targetId == null ? null : readTarget(targetId),
      };
      const page = await listAuditEntries(db, { filter, page: readPage(args, lists.auditEntries) });
      return toConnection(lists.auditEntries, page, ({ id }) => [id]);
    },
  }),
);

function readTarget(id: string): { type: string; key: string } {
  const target = parseId(id);
  if (target !== null) return target;
  throw new InvalidInput([{ path: ['targetId'], code: 'MALFORMED', message: 'is not an id' }]);
}

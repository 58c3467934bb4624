import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { findViewer, requireAsker, requireCaller, type Context } from '../api/context.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { registerNode } from '../api/node.ts';
import { decodeId } from '../core/id.ts';
import { maxContentLength, maxDescriptionLength } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { fileUrl, maxFileUrlBytes } from '../file/file-link.ts';
import { maxFileNameLength } from '../file/file-name.ts';
import { maxFiles } from '../file/file.ts';
import { visibleMessageById } from '../message/message.ts';
import { MessageRef } from '../message/message.ref.ts';
import { userById } from '../people/user.ts';
import { UserRef } from '../people/user.ref.ts';
import { lists, readPage } from '../postgres/page.ts';
import { AdminRef } from './admin.ref.ts';
import { findReports, listReports, reportMessage, resolveReport } from './report.ts';
import {
  maxSurroundingsPerSide,
  reportedIn,
  surroundingsOf,
  type NearbyMessage,
  type ReportedFile,
} from './report-look.ts';
import { isAllowed } from './staff.ts';

const ReportReasonRef = builder.enumType('ReportReason', {
  values: ['SPAM', 'HARASSMENT', 'HATE', 'SEXUAL', 'VIOLENCE', 'SELF_HARM', 'ILLEGAL', 'OTHER'] as const,
});

const ReportResolutionRef = builder.enumType('ReportResolution', {
  values: {
    NO_ACTION: {},
    MESSAGE_DELETED: { description: 'Deletes the message.' },
    USER_WARNED: { description: 'Records that staff have warned the sender of the message.' },
    USER_SUSPENDED: {
      description:
        'Records that staff have suspended the sender of the message. To suspend the sender, also call suspendUser.',
    },
  },
});

const ReportedFileRef = builder.objectRef<ReportedFile>('ReportedFile').implement({
  description: 'A file of a reported message. The file is kept with the report.',
  fields: (t) => ({
    name: t.exposeString('name', { extensions: textSize(maxFileNameLength) }),
    contentType: t.exposeString('contentType', { extensions: asciiSize(128) }),
    size: t.exposeInt('size', { description: 'In bytes.' }),
    url: t.string({
      extensions: asciiSize(maxFileUrlBytes),
      description: `A signed link, like \`File.url\`. The link stops working when the viewer is no longer on the staff of the server.`,
      resolve: (file, _, context) =>
        fileUrl(context.fileLinks, requireAsker(context), { kind: 'ReportedFile', file, thumbnail: null }),
    }),
    width: t.exposeInt('width', { nullable: true, description: 'In pixels; null if the file is not a picture.' }),
    height: t.exposeInt('height', { nullable: true, description: 'In pixels; null if the file is not a picture.' }),
  }),
});

const NearbyMessageRef = builder.objectRef<NearbyMessage>('NearbyMessage').implement({
  description: 'A message near a reported message, or the reported message itself, as it is now.',
  fields: (t) => ({
    seq: t.exposeInt('seq'),
    sender: t.field({
      type: UserRef,
      nullable: true,
      resolve: ({ senderId }, _, { loaders }) => (senderId === null ? null : loaders.of(userById).load(senderId)),
    }),
    content: t.exposeString('content', {
      nullable: true,
      extensions: textSize(maxContentLength),
      description: 'Null after the message is deleted.',
    }),
    fileCount: t.exposeInt('fileCount', {
      description: 'How many files the message was sent with. Staff cannot open these files.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    isReported: t.exposeBoolean('isReported', { description: 'Whether this is the message that was reported.' }),
  }),
});

const ReportRef = builder.prismaNode('Report', {
  id: { field: 'id' },
  description: `A message that a user reported. Staff can see the whole report. The reporter can see that the report exists and when it was resolved; all other nullable fields are null for the reporter. The report is deleted 90 days after its first resolution.`,
  fields: (t) => ({
    reason: t.expose('reason', { type: ReportReasonRef }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    resolvedAt: t.expose('resolvedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Null while the report is open.',
    }),
  }),
});

builder.prismaObjectFields(ReportRef, (t) => ({
  message: t.field({
    type: MessageRef,
    nullable: true,
    description:
      'Null if the viewer cannot see the message, and after the message is deleted. If you also select `Error.message`, use an alias.',
    resolve: async ({ messageId }, _, context) => {
      const asker = findViewer(context);
      if (messageId === null || asker === null || !(await isStaff(context))) return null;
      const message = await context.loaders.of(visibleMessageById).load({ messageId, asker });
      return message?.deletedAt === null ? message : null;
    },
  }),
  author: t.field({
    type: UserRef,
    nullable: true,
    description: "The sender of the message; null after the sender's account is erased.",
    resolve: async ({ authorId }, _, context) => readUser(context, authorId),
  }),
  content: t.string({
    nullable: true,
    extensions: textSize(maxContentLength),
    description: 'The text of the message when it was reported. Reading this field adds an entry to the audit log.',
    resolve: async ({ id }, _, context) => (await readReported(context, id))?.content ?? null,
  }),
  files: t.field({
    type: [ReportedFileRef],
    nullable: { list: true, items: false },
    complexity: { field: 1, multiplier: maxFiles },
    description: 'The files of the message when it was reported. Reading this field adds an entry to the audit log.',
    resolve: async ({ id }, _, context) => (await readReported(context, id))?.files ?? null,
  }),
  surroundings: t.field({
    type: [NearbyMessageRef],
    nullable: { list: true, items: false },
    complexity: { field: 1, multiplier: 2 * maxSurroundingsPerSide + 1 },
    description: `The message with up to ${maxSurroundingsPerSide} messages before and after it, in the order of the chat, whether or not the viewer can see
the chat. Empty after the chat is deleted. Reading this field adds an entry to the audit log.`,
    resolve: async ({ id: reportId }, _, context) =>
      (await isStaff(context))
        ? context.loaders.of(surroundingsOf).load({ reportId, caller: requireCaller(context) })
        : null,
  }),
  reporter: t.field({
    type: UserRef,
    nullable: true,
    resolve: async ({ reporterId }, _, context) => readUser(context, reporterId),
  }),
  comment: t.string({
    nullable: true,
    extensions: textSize(maxDescriptionLength),
    description: "The reporter's.",
    resolve: async ({ comment }, _, context) => ((await isStaff(context)) ? comment : null),
  }),
  resolution: t.field({
    type: ReportResolutionRef,
    nullable: true,
    resolve: async ({ resolution }, _, context) => ((await isStaff(context)) ? resolution : null),
  }),
  note: t.string({
    nullable: true,
    extensions: textSize(maxDescriptionLength),
    description: 'The note that staff added about the resolution.',
    resolve: async ({ note }, _, context) => ((await isStaff(context)) ? note : null),
  }),
}));

function isStaff(context: Context): Promise<boolean> {
  return isAllowed(context.loaders, requireCaller(context), 'readReports');
}

async function readUser(context: Context, userId: bigint | null) {
  return userId !== null && (await isStaff(context)) ? context.loaders.of(userById).load(userId) : null;
}

async function readReported(context: Context, reportId: bigint) {
  if (!(await isStaff(context))) return null;
  return context.loaders.of(reportedIn).load({ reportId, caller: requireCaller(context) });
}

registerNode('Report', async (context, keys) => {
  const reports = await findReports(context.db, requireCaller(context), {
    reportIds: keys.map(BigInt),
    isStaff: await isStaff(context),
  });
  return new Map(reports.map((report) => [String(report.id), report]));
});

const ReportConnectionRef = builder.connectionObject(
  { type: ReportRef, name: 'ReportConnection' },
  { name: 'ReportEdge' },
);

builder.objectField(AdminRef, 'reports', (t) =>
  t.field({
    type: ReportConnectionRef,
    nullable: true,
    description: 'Newest first. `isOpen: true` lists only reports that are not resolved yet.',
    args: { isOpen: t.arg.boolean(), ...t.arg.connectionArgs() },
    complexity: pageComplexity,
    resolve: async (_, { isOpen, ...args }, { db }) =>
      toConnection(
        lists.reports,
        await listReports(db, { isOpen: isOpen ?? null, page: readPage(args, lists.reports) }),
        ({ id }) => [id],
      ),
  }),
);

builder.mutationFields((t) => ({
  reportMessage: t.field({
    type: ReportRef,
    description: `Reports a message by another user to the server staff, who see the message as it is now, even if it is edited or deleted later.
Reporting a message again returns the first report. The sender of the message is not notified.`,
    errors: { types: [InvalidInput, NotFound] },
    args: {
      messageId: t.arg.id({ required: true }),
      reason: t.arg({ type: ReportReasonRef, required: true }),
      comment: t.arg.string({
        description: `1 to ${maxDescriptionLength} characters; the only control characters allowed are newline and tab.`,
      }),
    },
    resolve: (_, { messageId, reason, comment }, context) =>
      reportMessage(context.db, requireAsker(context), {
        messageId: decodeId('Message', messageId, ['messageId']),
        reason,
        comment: comment ?? null,
      }),
  }),
  resolveReport: t.field({
    type: ReportRef,
    description: `For moderators and admins. MESSAGE_DELETED also deletes the message; all other resolutions only record what was decided.
Resolving a report again replaces the resolution and the note.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: {
      reportId: t.arg.id({ required: true }),
      resolution: t.arg({ type: ReportResolutionRef, required: true }),
      note: t.arg.string({
        description: `A note for other staff: 1 to ${maxDescriptionLength} characters; the only control characters allowed are newline and tab.`,
      }),
    },
    resolve: (_, { reportId, resolution, note }, context) =>
      resolveReport(context.db, requireCaller(context), {
        reportId: decodeId('Report', reportId, ['reportId']),
        resolution,
        note: note ?? null,
      }),
  }),
}));

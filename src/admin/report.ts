import type { Asker, Caller } from '../core/asker.ts';
import { maxDescriptionLength, readText } from '../core/text.ts';
import { InvalidInput, NotFound, type FieldError } from '../errors.ts';
import { requireVisibleMessage } from '../message/message.ts';
import { inTransaction, type Db, type Transaction } from '../postgres/client.ts';
import type { Message, Report, ReportReason, ReportResolution } from '../postgres/generated/prisma/client.ts';
import { newestFirst, toPage, type Page, type PageRequest } from '../postgres/page.ts';
import { constraintOf } from '../postgres/sql-state.ts';
import { lockStaff } from './staff.ts';

/** How long a report is kept after it was resolved, as a PostgreSQL interval. */
const retention = '90 days';

/** A report of a message to the server staff, with its reason. */
export type NewReport = { messageId: bigint; reason: ReportReason; comment: string | null };

/**
 * Reports another user's message that the asker can see. Triggers store the message's current content and files. A user
 * can report a message only once: reporting it again returns the first report. Throws NotFound if the message is hidden
 * or deleted, and InvalidInput for a bad comment, for the asker's own message and for a system message.
 */
export async function reportMessage(db: Db, asker: Asker, input: NewReport): Promise<Report> {
  const errors: FieldError[] = [];
  const comment = input.comment === null ? null : readText(input.comment, ['comment'], maxDescriptionLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  const message = await requireVisibleMessage(db, asker, input.messageId);
  if (message.senderId === asker.userId || message.kind === 'SYSTEM') {
    throw new InvalidInput([
      { path: ['messageId'], code: 'NOT_ALLOWED', message: 'must be a message of another user' },
    ]);
  }
  if (message.deletedAt === null) await insertReport(db, asker, { ...input, comment });
  const report = await db.prisma.report.findFirst({ where: { reporterId: asker.userId, messageId: message.id } });
  if (report === null) throw deleted();
  return report;
}

/** Returns why the asker may not report a message that they can see, or null if they may report it. */
export function refuseReport({ asker, message }: { asker: Asker; message: Message }): InvalidInput | null {
  if (message.senderId !== asker.userId && message.kind === 'USER') return null;
  return new InvalidInput([{ path: ['messageId'], code: 'NOT_ALLOWED', message: 'must be a message of another user' }]);
}

/** Raw SQL, for `on conflict`, so that only one of two concurrent requests inserts the report. */
async function insertReport({ pool }: Db, asker: Asker, { messageId, reason, comment }: NewReport): Promise<void> {
  try {
    await pool.query(
      `insert into reports (reporter_id, message_id, reason, comment) values ($1, $2, $3, $4)
      on conflict (reporter_id, message_id) do nothing`,
      [asker.userId, messageId, reason, comment],
    );
  } catch (error) {
    throw constraintOf(error) === 'a_report_has_a_message' ? deleted() : error;
  }
}

function deleted(): NotFound {
  return new NotFound('There is no such message.');
}

/**
 * Lists a page of the reports, newest first. The key in a cursor is the report's id. `isOpen`: true for unresolved
 * reports, false for resolved reports, or null for all reports. The caller must have checked that the asker may read
 * reports.
 */
export async function listReports(
  { prisma }: Db,
  { isOpen, page }: { isOpen: boolean | null; page: PageRequest },
): Promise<Page<Report>> {
  const { id, rest } = newestFirst(page);
  const resolvedAt = isOpen ? null : { not: null };
  const rows = await prisma.report.findMany({ where: { id, ...(isOpen !== null && { resolvedAt }) }, ...rest });
  return toPage(rows, page);
}

/**
 * Finds the reports with these ids that the caller can see, in no particular order. Staff see all reports, and other
 * users only their own.
 */
export function findReports(
  { prisma }: Db,
  { userId }: Caller,
  { reportIds, isStaff }: { reportIds: readonly bigint[]; isStaff: boolean },
): Promise<Report[]> {
  return prisma.report.findMany({
    where: { id: { in: [...reportIds] }, ...(isStaff ? {} : { reporterId: userId }) },
  });
}

/** A decision of the staff about a report. `note`: a note for other staff. */
export type Verdict = { reportId: bigint; resolution: ReportResolution; note: string | null };

/**
 * Resolves a report. MESSAGE_DELETED also deletes the message, even if the caller cannot see its chat. The other
 * resolutions only record the decision. Resolving a report again replaces the resolution and the note. For moderators
 * and admins. Throws Forbidden, NotFound, and InvalidInput for a bad note.
 */
export async function resolveReport(db: Db, caller: Caller, verdict: Verdict): Promise<Report> {
  const errors: FieldError[] = [];
  const note = verdict.note === null ? null : readText(verdict.note, ['note'], maxDescriptionLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return inTransaction(
    db,
    async (transaction) => {
      await lockStaff(transaction, caller, 'resolveReport');
      return settle(transaction, { ...verdict, note }, caller);
    },
    caller,
  );
}

async function settle(transaction: Transaction, verdict: Verdict, caller: Caller): Promise<Report> {
  // Resolves the report. Raw SQL, to use the database's clock. The time of the first resolution is not overwritten,
  // because the report is kept for 90 days from that time.
  const { rows } = await transaction.query<{ messageId: bigint | null }>(
    `update reports set resolution = $2, note = $3, resolved_by_id = $4,
      resolved_at = coalesce(resolved_at, clock_timestamp())
    where id = $1 returning message_id as "messageId"`,
    [verdict.reportId, verdict.resolution, verdict.note, caller.userId],
  );
  const [resolved] = rows;
  if (resolved === undefined) throw new NotFound('There is no such report.');
  // As with any deletion of a message, a trigger turns the message into a tombstone instead of deleting its row.
  if (verdict.resolution === 'MESSAGE_DELETED' && resolved.messageId !== null) {
    await transaction.prisma.message.deleteMany({ where: { id: resolved.messageId, deletedAt: null } });
  }
  return transaction.prisma.report.findUniqueOrThrow({ where: { id: verdict.reportId } });
}

/** Deletes up to `limit` reports that were resolved 90 days ago or earlier, with their files. Returns how many. */
export async function purgeReports({ pool }: Pick<Db, 'pool'>, limit: number): Promise<number> {
  // Raw SQL, for `skip locked`, so that nodes that purge at the same time do not wait for each other.
  const { rowCount } = await pool.query(
    `delete from reports where id = any (array(
      select id from reports where resolved_at < now() - $1::interval limit $2 for update skip locked))`,
    [retention, limit],
  );
  return rowCount ?? 0;
}

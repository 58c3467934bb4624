import { continueDeletions } from './account/account-deletion.ts';
import { mailChores } from './account/opening.ts';
import { pruneSessions } from './account/session.ts';
import { pruneRefusals } from './account/token-refusal.ts';
import { purgeReports } from './admin/report.ts';
import { pruneInvites } from './chat/invite.ts';
import { pruneSlowModeTurns } from './chat/slow-mode.ts';
import type { Config } from './config.ts';
import type { Chore } from './core/housekeeping.ts';
import { pruneLimits } from './core/rate-limit.ts';
import type { Report } from './core/report.ts';
import type { FileStorage } from './file/file.ts';
import { fileChores } from './file/file-sweep.ts';
import { partialChore, type PartialUploads } from './file/partial-upload.ts';
import { pruneReservations } from './live/reservation.ts';
import { pruneAuditEntries } from './log/audit-log.ts';
import { pruneEvents } from './log/retention.ts';
import { pruneLeases } from './postgres/lease.ts';
import type { NodeLease } from './postgres/node-lease.ts';
import { pruneRestrictions } from './postgres/restriction.ts';
import { serves } from './role.ts';
import { renewWebhookSessions } from './webhook/holding.ts';

/** The parts of a node that its housekeeping tasks work on. */
export type ChoreParts = FileStorage & { partials: PartialUploads; node: NodeLease };

/** Lists the tasks with which this node periodically removes data that is old, expired or used up. */
export function listChores({ db, store, partials, node }: ChoreParts, config: Config, report: Report): Chore[] {
  return [
    { name: 'erased accounts', clear: (limit) => continueDeletions({ db }, limit) },
    { name: 'old events', clear: (limit) => pruneEvents(db.pool, config.eventRetentionMs, limit) },
    { name: 'old audit entries', clear: (limit) => pruneAuditEntries(db.pool, config.auditRetentionMs, limit) },
    { name: 'ended restrictions', clear: (limit) => pruneRestrictions(db.pool, limit) },
    { name: 'old turns of slow mode', clear: (limit) => pruneSlowModeTurns(db.pool, limit) },
    { name: 'used-up and expired invites', clear: (limit) => pruneInvites(db, limit) },
    { name: 'old reports', clear: (limit) => purgeReports(db, limit) },
    { name: 'used-up limits', clear: (limit) => pruneLimits(db.pool, limit) },
    { name: 'expired leases', clear: (limit) => (node.isSettled ? pruneLeases(db, limit) : Promise.resolve(0)) },
    { name: 'unopened streams', clear: (limit) => pruneReservations(db.pool, limit) },
    { name: 'sessions of webhooks', clear: (limit) => renewWebhookSessions(db, limit) },
    { name: 'dead sessions', clear: (limit) => pruneSessions({ db }, limit) },
    { name: 'refused tokens', clear: (limit) => pruneRefusals({ db }, limit) },
    ...mailChores(db, report),
    ...(serves(config, 'api') ? [...fileChores({ db, store }, report), partialChore(partials)] : []),
  ];
}

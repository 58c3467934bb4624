import type { Db } from '../postgres/client.ts';
import type { AuditEntry } from '../postgres/generated/prisma/client.ts';
import { newestFirst, toPage, type Page, type PageRequest } from '../postgres/page.ts';
import { defineLoader } from '../postgres/loader.ts';
import { isRecord } from '../core/json.ts';
import { encodeId } from '../core/id.ts';

/** Restricts which entries to list; null means no restriction. `target`: the parts of the target's global id. */
export type AuditFilter = { actorId: bigint | null; target: { type: string; key: string } | null };

/**
 * Lists a page of the audit log, newest first. The key in a cursor is the entry's id. The caller must have checked that
 * the asker may read the log.
 */
export async function listAuditEntries(
  { prisma }: Db,
  { filter, page }: { filter: AuditFilter; page: PageRequest },
): Promise<Page<AuditEntry>> {
  const { actorId, target } = filter;
  const { id, rest } = newestFirst(page);
  const rows = await prisma.auditEntry.findMany({
    where: {
      id,
      ...(actorId !== null && { actorId }),
      ...(target !== null && { targetType: target.type, targetKey: target.key }),
    },
    ...rest,
  });
  return toPage(rows, page);
}

/**
 * Finds the entries with these ids, in no particular order. The caller must have checked that the asker may read them.
 */
export function findAuditEntries({ prisma }: Db, entryIds: readonly bigint[]): Promise<AuditEntry[]> {
  return prisma.auditEntry.findMany({ where: { id: { in: [...entryIds] } } });
}

/** Loads the name of the database role that the server connects as. The only key of this loader is `role`. */
export const ownRole = defineLoader({
  load: async ({ pool }: Db, keys: readonly 'role'[]) => {
    const { rows } = await pool.query<{ role: string }>('select session_user::text as role');
    return keys.map(() => rows[0]?.role ?? '');
  },
  keyOf: (key) => key,
});

/**
 * Formats an entry's detail for clients. Its ids, which are stored as `Chat:12`, become global ids. `source` means that
 * a database role other than the server's wrote the entry, so its actor is only what that role claimed.
 */
export function detailOf({ detail, role }: AuditEntry, serverRole: string): Record<string, unknown> {
  const entries = isRecord(detail) ? Object.entries(detail) : [];
  const shown = Object.fromEntries(entries.map(([name, value]) => [name, toGlobalId(value)]));
  return role === serverRole ? shown : { ...shown, source: 'DATABASE' };
}

function toGlobalId(value: unknown): unknown {
  const [, type, key] = (typeof value === 'string' ? /^([A-Z][A-Za-z]*):([0-9_]+)$/.exec(value) : null) ?? [];
  return type === undefined || key === undefined ? value : encodeId(type, key);
}

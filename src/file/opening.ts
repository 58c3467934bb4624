import { join } from 'node:path';
import type { Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import type { Db } from '../postgres/client.ts';
import { Arrivals } from './arrival.ts';
import type { FileStorage } from './file.ts';
import { FileCommit } from './file-commit.ts';
import { PartialUploads } from './partial-upload.ts';
import { Pictures } from './picture.ts';
import { storeSmallInline } from './store/inline.ts';
import { openStore, type StoreSettings } from './store/open.ts';
import { PartialFiles } from './store/partial.ts';

/**
 * The settings that specify where files are stored, what their size limits are in bytes, and whether this node receives
 * uploads.
 */
export type FileSettings = StoreSettings & {
  maxUploadBytes: number;
  userQuotaBytes: number;
  fileInlineBytes: number;
  isReceiving: boolean;
};

/** Opens the storage for files and for incomplete uploads. Throws CannotStart when a node cannot use it. */
export async function openFiles(
  db: Db,
  settings: FileSettings,
  { report, metrics }: { report: Report; metrics: Metrics },
): Promise<{ files: FileStorage; partials: PartialUploads; arrivals: Arrivals }> {
  const { maxUploadBytes, userQuotaBytes } = settings;
  const commit = new FileCommit(db, userQuotaBytes);
  const { store: outer, link } = await openStore(settings, report);
  const store = storeSmallInline(outer, settings.fileInlineBytes);
  const files = { db, store, link, maxUploadBytes, userQuotaBytes, pictures: new Pictures(), commit };
  const partials = new PartialUploads(files, new PartialFiles(join(settings.dataDir, 'partial-uploads')));
  if (settings.isReceiving) await Promise.all([store.prepare(), partials.prepare()]);
  return { files, partials, arrivals: new Arrivals(db.pool, userQuotaBytes, metrics) };
}

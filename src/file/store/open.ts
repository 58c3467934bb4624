import { join } from 'node:path';
import type { Report } from '../../core/report.ts';
import { CannotStart } from '../../errors.ts';
import { LocalStore } from './local.ts';
import type { S3Location } from './s3-location.ts';
import type { S3Store } from './s3.ts';
import type { StoreAccess } from './store.ts';

/** The settings that determine where files are kept. Without `fileStore`, they are kept in a folder in `dataDir`. */
export type StoreSettings = { dataDir: string; fileStore: S3Location | null; fileServing: 'stream' | 'redirect' };

/**
 * Opens the store that holds the bytes of files. `link` creates the URLs from which clients download directly from the
 * store; it is null if clients download through this server.
 */
export async function openStore(settings: StoreSettings, report: Report): Promise<StoreAccess> {
  const { dataDir, fileStore, fileServing } = settings;
  const folder = join(dataDir, 'files');
  if (fileStore === null) return { store: new LocalStore(folder), link: null };
  const store = await openBucket(fileStore, { incoming: join(folder, 'incoming'), report });
  return { store, link: fileServing === 'redirect' ? (hash, headers) => store.link(hash, headers) : null };
}

/**
 * Loads the S3 store on demand: the AWS SDK is large, so only operators who store files in a bucket have to install it.
 */
async function openBucket(...created: ConstructorParameters<typeof S3Store>): Promise<S3Store> {
  try {
    const s3 = await import('./s3.ts');
    return new s3.S3Store(...created);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
    const packages = '@aws-sdk/client-s3 @aws-sdk/lib-storage @aws-sdk/s3-request-presigner';
    throw new CannotStart(
      `FILE_STORE needs the AWS SDK: run \`npm install --no-save --save-prod --omit=dev ${packages}\`.`,
      { cause: error },
    );
  }
}

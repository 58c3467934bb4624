import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import S3rver from '@20minutes/s3rver';

// Operators set these variables, and the store reads them from the environment.
process.env['AWS_ACCESS_KEY_ID'] = 'S3RVER';
process.env['AWS_SECRET_ACCESS_KEY'] = 'S3RVER';
process.env['AWS_REGION'] = 'us-east-1';

/** A local S3 server, with one empty bucket. */
export type S3 = {
  url: string;
  bucket: string;
  /** The folder where the server stores the content of the bucket. */
  folder: string;
  /** Returns the keys of all objects in the bucket. */
  listKeys: () => Promise<string[]>;
  /** Returns the ids of multipart uploads that are neither completed nor aborted. */
  listUploads: () => Promise<string[]>;
  /**
   * Denies requests whose method and URL contain this text, e.g. `PUT /bucket/key`. If the text is null, denies no
   * requests.
   */
  refuse: (text: string | null) => void;
  /** Stops the server, and cuts off requests in progress. */
  goAway: () => Promise<void>;
  /** Starts serving again at the same address, with the same content. */
  comeBack: () => Promise<void>;
  /** Shuts the server down, and deletes its content. */
  remove: () => Promise<void>;
};

/** Starts an S3 server. The caller must remove the server with `remove`. */
export async function startS3(): Promise<S3> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-s3-'));
  const bucket = 'parley-files';
  const configureBuckets = [{ name: bucket, configs: [] }];
  const options = { directory, silent: true, vhostBuckets: false, configureBuckets };
  const strict = new S3rver(options);
  await strict.configureBuckets();
  const lenient = new S3rver({ ...options, allowMismatchedSignatures: true });
  mendPaging(lenient);
  const answers = { strict: strict.callback(), lenient: lenient.callback() };
  const uploads = new UnfinishedUploads(join(directory, bucket, '._S3rver_uploads'));
  let refused: string | null = null;
  // A proxy may hold back a request, and the request must not fail because its connection is idle.
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    if (refused !== null && `${request.method} ${request.url}`.includes(refused)) {
      deny(request, response);
      return;
    }
    const answer = isMisreckoned(request.url ?? '/') ? answers.lenient : answers.strict;
    void uploads.answer(request, response).then((isAnswered) => isAnswered || answer(request, response));
  });
  let port = 0;
  const comeBack = async () => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  };
  const goAway = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  await comeBack();
  const remove = async () => {
    await goAway();
    await rm(directory, { recursive: true, force: true });
  };
  const folder = join(directory, bucket);
  const listKeys = async () =>
    (await readdir(folder, { recursive: true }))
      .filter((name) => name.endsWith('._S3rver_object'))
      .map((name) => name.replace('._S3rver_object', ''));
  return {
    url: `http://127.0.0.1:${port}`,
    bucket,
    folder,
    listKeys,
    listUploads: () => uploads.list(),
    refuse: (text) => void (refused = text),
    goAway,
    comeBack,
    remove,
  };
}

function deny(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.writeHead(403, { 'content-type': 'application/xml' });
  response.end('<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>');
}

/** Returns the FILE_STORE setting for that bucket. */
export function locationOf({ url, bucket }: S3, more = ''): string {
  return `s3://${bucket}?endpoint=${url}${more}`;
}

/**
 * Returns whether s3rver rejects the valid signature of this URL. s3rver omits the slash that the AWS SDK puts after a
 * bucket's name, and does not encode apostrophes.
 */
function isMisreckoned(url: string): boolean {
  return /^\/[^/]+\/\?/.test(url) || url.includes('%27');
}

const pageSize = 1_000;

/**
 * Turns off s3rver's paging, because s3rver encrypts its next-page tokens with a cipher that OpenSSL 3 no longer has.
 */
function mendPaging(s3rver: S3rver): void {
  const listObjects = s3rver.store.listObjects.bind(s3rver.store);
  s3rver.store.listObjects = async (...asked) => ({ ...(await listObjects(...asked)), isTruncated: false });
  s3rver.middleware.unshift(async (ctx, next) => {
    const { 'continuation-token': lastKey, ...query } = ctx.query;
    if (lastKey !== undefined) ctx.query = { ...query, 'start-after': lastKey };
    await next();
    const keys = [...String(ctx.body).matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key);
    if (keys.length < pageSize) return;
    const more = `<IsTruncated>true</IsTruncated><NextContinuationToken>${keys.at(-1)}</NextContinuationToken>`;
    ctx.body = String(ctx.body).replace(/<IsTruncated>false<\/IsTruncated>/, more);
  });
}

/** Adds features of S3 that s3rver lacks: listing and aborting incomplete multipart uploads. */
class UnfinishedUploads {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(): Promise<string[]> {
    return readdir(this.#folder).catch(() => []);
  }

  /** Answers a request that lists or aborts uploads. Returns whether the request was one of these. */
  async answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const query = new URL(url ?? '/', 'http://s3').searchParams;
    const uploadId = query.get('uploadId');
    if (method === 'DELETE' && uploadId !== null) {
      await rm(join(this.#folder, uploadId), { recursive: true, force: true });
      response.writeHead(204).end();
      return true;
    }
    if (method === 'GET' && query.has('uploads')) {
      response.writeHead(200, { 'content-type': 'application/xml' }).end(await this.#page(query));
      return true;
    }
    return false;
  }

  /** Returns only one upload per page, so that there are several pages. */
  async #page(query: URLSearchParams): Promise<string> {
    const ids = (await this.list()).toSorted();
    const marker = query.get('upload-id-marker') ?? '';
    const [id, ...rest] = ids.filter((each) => each > marker);
    if (id === undefined)
      return '<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>';
    const key = await readFile(join(this.#folder, id, 'key'), 'utf8');
    const { mtime } = await stat(join(this.#folder, id, 'key'));
    return `<ListMultipartUploadsResult>
      <IsTruncated>${rest.length > 0}</IsTruncated>
      <NextKeyMarker>${key}</NextKeyMarker><NextUploadIdMarker>${id}</NextUploadIdMarker>
      <Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${mtime.toISOString()}</Initiated></Upload>
    </ListMultipartUploadsResult>`;
  }
}

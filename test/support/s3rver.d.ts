declare module '@20minutes/s3rver' {
  import type { RequestListener } from 'node:http';

  /**
   * An S3 server that stores its buckets in a folder. The only access key that it accepts is S3RVER, with the secret
   * S3RVER.
   */
  export default class S3rver {
    constructor(options: {
      directory: string;
      silent: boolean;
      vhostBuckets: boolean;
      allowMismatchedSignatures?: boolean;
      configureBuckets: { name: string; configs: string[] }[];
    });
    /** Koa's middleware. */
    middleware: ((ctx: { query: Record<string, string>; body: unknown }, next: () => Promise<void>) => Promise<void>)[];
    store: { listObjects: (bucket: string, options: object) => Promise<{ isTruncated: boolean }> };
    configureBuckets(): Promise<unknown>;
    callback(): RequestListener;
  }
}

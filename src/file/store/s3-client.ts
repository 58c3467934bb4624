import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import type { S3Location } from './s3-location.ts';

const connectMs = 5_000;
/**
 * The time limit from the start of a request, including the sending of its body (a part of at most 5 MiB), to the start
 * of the response.
 */
const requestMs = 30_000;
/** The time limit for a connection on which no data flows in either direction. */
const idleMs = 60_000;
const maxAttempts = 3;

/**
 * Creates a client that talks to the S3 service or, with `isPublic`, a client that signs links for clients of this
 * server. The AWS SDK gets the credentials from the environment, from its own files, or through the machine's role.
 */
export function createS3Client(location: S3Location, { isPublic }: { isPublic: boolean }): S3Client {
  const endpoint = (isPublic ? location.publicEndpoint : null) ?? location.endpoint;
  // Each download through this server occupies a connection, and downloads must not prevent other requests from getting
  // one.
  const agent = { maxSockets: Number.POSITIVE_INFINITY };
  return new S3Client({
    ...(endpoint !== null && { endpoint }),
    ...(location.region !== null && { region: location.region }),
    forcePathStyle: location.isPathStyle,
    maxAttempts,
    // The signature already covers the SHA-256 of the body, and many services other than AWS support no additional
    // checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: requestMs,
      throwOnRequestTimeout: true,
      socketTimeout: idleMs,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
}

/** Whether the error says that the object does not exist. */
export function isMissing(error: unknown): boolean {
  return error instanceof S3ServiceException && ['NoSuchKey', 'NotFound'].includes(error.name);
}

/** Whether the error says that the store does not support the operation. */
export function isNotImplemented(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 501;
}

/** Whether the error says that the multipart upload no longer exists. */
export function isUploadGone(error: unknown): boolean {
  return error instanceof S3ServiceException && error.name === 'NoSuchUpload';
}

/** Creates a handler for `catch` that returns null for errors that `holds` accepts, and rethrows all others. */
export function nullIf(holds: (error: unknown) => boolean): (error: unknown) => null {
  return (error) => {
    if (holds(error)) return null;
    throw error;
  };
}

/** Returns an explanation for an operator of why the S3 service or the bucket cannot be used. */
export function explainRefusal(error: unknown): string {
  if (!(error instanceof Error)) return 'it failed';
  if (error.name === 'CredentialsProviderError') {
    return 'there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source that the AWS SDK supports';
  }
  if (error.message.includes('Region is missing')) return 'it needs a region: ?region=eu-central-1, or AWS_REGION';
  if (error.name === 'AbortError') return 'it does not answer in time';
  if (error.name === 'NoSuchBucket') return 'there is no such bucket';
  if (!(error instanceof S3ServiceException)) return `it can't be reached: ${reasonOf(error)}`;
  const status = error.$metadata.httpStatusCode;
  if (status === 301) return 'the bucket is in another region';
  if (status === 403) return `it denies access (${error.name}): listing, reading, writing and deleting must be allowed`;
  return `it answers ${status} (${error.name})`;
}

function reasonOf(error: Error): string {
  // If a host name resolves to several addresses, there is a separate error for each address.
  const [first] = error instanceof AggregateError ? error.errors : [];
  return first instanceof Error ? first.message : error.message || error.name;
}

import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import type { S3Location } from './s3-location.ts';

const connectMs = 5_000;
/** For a request with its body, a part of 5 MiB at most, until the answer begins. */
const requestMs = 30_000;
/** Neither side has sent anything for so long. */
const idleMs = 60_000;
const maxAttempts = 3;

/**
 * Speaks to the place, or makes links by which clients do (`isPublic`). Credentials come as the AWS SDK finds them: from
 * the environment, its files, or the machine's role.
 */
export function createS3Client(location: S3Location, { isPublic }: { isPublic: boolean }): S3Client {
  const endpoint = (isPublic ? location.publicEndpoint : null) ?? location.endpoint;
  // Downloads that pass through us hold a connection each, and must not keep others from theirs.
  const agent = { maxSockets: Number.POSITIVE_INFINITY };
  return new S3Client({
    ...(endpoint !== null && { endpoint }),
    ...(location.region !== null && { region: location.region }),
    forcePathStyle: location.isPathStyle,
    maxAttempts,
    // What is sent is signed with its SHA-256; more sums are what many others than AWS don't know.
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

export function isMissing(error: unknown): boolean {
  return error instanceof S3ServiceException && ['NoSuchKey', 'NotFound'].includes(error.name);
}

export function isNotImplemented(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 501;
}

export function isUploadGone(error: unknown): boolean {
  return error instanceof S3ServiceException && error.name === 'NoSuchUpload';
}

/** For `catch`: the errors for which that holds become null, others are thrown again. */
export function nullIf(holds: (error: unknown) => boolean): (error: unknown) => null {
  return (error) => {
    if (holds(error)) return null;
    throw error;
  };
}

/** What an operator is told of a place that can't be used. */
export function explainRefusal(error: unknown): string {
  if (!(error instanceof Error)) return 'it failed';
  if (error.name === 'CredentialsProviderError') {
    return 'there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what else the AWS SDK looks for';
  }
  if (error.message.includes('Region is missing')) return 'it needs a region: ?region=eu-central-1, or AWS_REGION';
  if (error.name === 'AbortError') return 'it does not answer in time';
  if (error.name === 'NoSuchBucket') return 'there is no such bucket';
  if (!(error instanceof S3ServiceException)) return `it can't be reached: ${reasonOf(error)}`;
  const status = error.$metadata.httpStatusCode;
  if (status === 301) return 'the bucket is in another region';
  if (status === 403) return `it refuses us (${error.name}): listing, reading, writing and deleting must be allowed`;
  return `it answers ${status} (${error.name})`;
}

function reasonOf(error: Error): string {
  // Where a name stands for several addresses, each has its own error.
  const [first] = error instanceof AggregateError ? error.errors : [];
  return first instanceof Error ? first.message : error.message || error.name;
}

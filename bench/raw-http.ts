import process from 'node:process';

/*
 * Writes requests and reads responses for the load generators without an HTTP library, because a library would use more
 * CPU time than the servers.
 */

/** Returns a GraphQL request as the bytes of an HTTP/1.1 request. */
export function printRequest(body: string, token: string): string {
  return [
    'POST /graphql HTTP/1.1',
    'host: localhost',
    'accept: application/json',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `authorization: Bearer ${token}`,
    '',
    body,
  ].join('\r\n');
}

/**
 * Whether an HTTP/1.1 response, which is chunked or has a content length, is complete. `bytes` is the length of the
 * response so far.
 */
export function isWhole(answer: string, bytes: number): boolean {
  const headEnd = answer.indexOf('\r\n\r\n');
  if (headEnd === -1) return false;
  const length = /^content-length: (\d+)/im.exec(answer.slice(0, headEnd))?.[1];
  if (length === undefined) return answer.endsWith('\r\n0\r\n\r\n');
  return bytes >= headEnd + 4 + Number(length);
}

/** The machine's monotonic clock, in ms, which shows the same time in every process. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

import type { Data } from './client.ts';

/** Returns one line of JSON for each object. */
export function toLines(objects: readonly unknown[]): string {
  return objects.map((each) => `${JSON.stringify(each)}\n`).join('');
}

/** Sends lines to a node. Returns the status and the report. */
export async function importLines(
  node: { url: string },
  secret: string,
  lines: string | ReadableStream<Uint8Array>,
  headers: Record<string, string> = {},
): Promise<{ status: number; report: Data }> {
  const response = await fetch(`${node.url}/api/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/x-ndjson', ...headers },
    body: lines,
    ...(typeof lines !== 'string' && { duplex: 'half' as const }),
  });
  return { status: response.status, report: await response.json() };
}

/**
 * The severity of a finding. OK: there is nothing to do. WARN: the operator should take a look. FAIL: until the problem
 * is fixed, the server does not work or is not safe.
 */
export type Level = 'OK' | 'WARN' | 'FAIL';

/** One result of a check. `text` says what to do if an action is needed, and contains no secrets. */
export type Finding = { level: Level; text: string };

/** A named check. If `run` rejects, the check counts as failed, with the message of the error. */
export type Check = { name: string; run: () => Promise<Finding[]> };

/** How long a check may take, in ms. */
const checkMs = 5_000;

/** Nothing to do. */
export const ok = (text: string): Finding => ({ level: 'OK', text });
/** Works, but the operator should change something. */
export const warn = (text: string): Finding => ({ level: 'WARN', text });
/** Does not work. */
export const fail = (text: string): Finding => ({ level: 'FAIL', text });

/** Runs a check. Resolves after `maxMs` at the latest. */
export async function runCheck({ run }: Check, maxMs = checkMs): Promise<Finding[]> {
  let timeout: NodeJS.Timeout | undefined;
  const patience = new Promise<Finding[]>((resolve) => {
    timeout = setTimeout(() => resolve([fail(`no answer within ${maxMs / 1_000} s`)]), maxMs);
  });
  const found = run().catch((error: unknown) => [fail(messageOf(error))]);
  const findings = await Promise.race([found, patience]);
  clearTimeout(timeout);
  return findings;
}

/** Returns one line of text per finding. */
export function printFindings({ name }: Check, findings: readonly Finding[]): string {
  return findings.map(({ level, text }) => `${level.padEnd(4)}  ${name}: ${text}\n`).join('');
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  return error.message || error.name;
}

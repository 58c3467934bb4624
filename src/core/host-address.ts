import dns from 'node:dns/promises';
import { Semaphore } from './semaphore.ts';

/** One address that a host name resolves to. */
export type HostAddress = { address: string; family: number };

/**
 * How long to wait for an answer from a name server, in ms, and how many times to ask. The product of the two numbers
 * is less than the time limit of any request that the server sends.
 */
const patience = { timeout: 2_000, tries: 2 };

/**
 * How many of the system's own lookups may run at the same time. They use the same four threads that Node needs for
 * files and hashes.
 */
const systemLookups = new Semaphore(2);

/** The DNS errors for a name that does not exist, for a name without an address, and for a missing name server. */
const unknownCodes = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED']);

/**
 * Returns the addresses of a host. Asks the name servers without occupying a thread, because users choose the host. If
 * a name server is dead, the system's lookup occupies one of Node's four threads until it times out, and passwords and
 * files wait for those threads. The system's lookup is used only for names without a dot and for names that the name
 * servers do not know, because these may be in /etc/hosts. Rejects with the DNS error.
 */
export async function resolveHost(hostname: string): Promise<HostAddress[]> {
  if (!hostname.includes('.')) return lookUp(hostname);
  const resolver = new dns.Resolver(patience);
  const answers = await Promise.all([find(4, resolver.resolve4(hostname)), find(6, resolver.resolve6(hostname))]);
  const found = answers.flatMap(({ addresses }) => addresses);
  if (found.length > 0) return found;
  const fault = answers.find(({ error }) => error !== null && !unknownCodes.has(String(error.code)))?.error;
  if (fault != null) throw fault;
  return lookUp(hostname);
}

type Answer = { addresses: HostAddress[]; error: NodeJS.ErrnoException | null };

async function find(family: number, answer: Promise<string[]>): Promise<Answer> {
  try {
    return { addresses: (await answer).map((address) => ({ address, family })), error: null };
  } catch (error) {
    return { addresses: [], error: error as NodeJS.ErrnoException };
  }
}

function lookUp(hostname: string): Promise<HostAddress[]> {
  return systemLookups.hold(1, () => dns.lookup(hostname, { all: true }));
}

import { readFile } from 'node:fs/promises';
import { SocketAddress } from 'node:net';
import type { Connection } from './connection.ts';

/**
 * How often the system's table of connections is read, and how long a client may go without acknowledging anything, in
 * ms.
 */
const times = { look: 5_000, patience: 15_000 };

/**
 * The files that contain Linux's tables of connections. A row contains a number, the local and remote addresses and
 * ports, the state (01: established), and the unacknowledged and unread bytes. The timer (01: retransmission) with its
 * ticks and the number of unacknowledged retransmissions follow. https://docs.kernel.org/networking/proc_net_tcp.html
 */
const tables = ['/proc/net/tcp', '/proc/net/tcp6'];
const retransmitting =
  /^ *\d+: [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]+):([0-9A-F]{4}) 01 ([0-9A-F]+):[0-9A-F]+ 01:[0-9A-F]+ (?!0{8})([0-9A-F]{8})/gm;

/** How many bytes the client has not acknowledged, and how many times the kernel has retransmitted them. */
type Retransmission = { bytes: number; count: number };

/**
 * When a connection stopped acknowledging, how many bytes had been acknowledged by then, and how many retransmissions
 * were unacknowledged at the last check.
 */
type Silence = { since: number; acknowledged: number; count: number };

/**
 * Finds clients that lost their network while the server was sending data to them. TCP keep-alive probes a
 * connection only if everything has been acknowledged. Otherwise, the kernel retransmits for 15 minutes
 * (`tcp_retries2`), and Node has no setting to change that. This class therefore reads from the kernel's tables how
 * many times the kernel has retransmitted. On systems other than Linux it finds nothing, so such a client counts as
 * connected until the system stops retransmitting.
 */
export class SilentPeers {
  readonly #silences = new WeakMap<Connection, Silence>();
  #dueAt = 0;
  #isLooking = false;

  /** Checks these connections if a check is due, and destroys those that have been silent for too long. */
  async look(connections: () => Iterable<Connection>, now: number): Promise<void> {
    if (this.#isLooking || now < this.#dueAt) return;
    this.#dueAt = now + times.look;
    this.#isLooking = true;
    // The counts are read before the table, so that bytes that are written while the table is being read do not look as
    // if they had been acknowledged.
    const taken = Array.from(connections(), (connection) => ({ connection, bytes: connection.takenBytes }));
    const peers = await readRetransmitting().finally(() => (this.#isLooking = false));
    for (const { connection, bytes } of taken) {
      const latest = peers.get(connection.peer);
      const silence = latest && { since: now, acknowledged: bytes - latest.bytes, count: latest.count };
      if (silence === undefined) this.#silences.delete(connection);
      else if (this.#hasLeft(connection, silence)) connection.destroy();
    }
  }

  /**
   * If the client acknowledges something between two checks, the kernel resets the count of retransmissions. On a
   * network that loses many packets, the count may have increased again by the next check; the number of acknowledged
   * bytes then reveals the acknowledgement.
   */
  #hasLeft(connection: Connection, latest: Silence): boolean {
    const known = this.#silences.get(connection);
    const isOngoing = known !== undefined && latest.count >= known.count && latest.acknowledged <= known.acknowledged;
    const { since, acknowledged } = isOngoing ? known : latest;
    this.#silences.set(connection, { since, acknowledged, count: latest.count });
    return latest.since - since >= times.patience;
  }
}

/**
 * Returns what the kernel is retransmitting, keyed by the client's address and port (in the format of
 * `Connection.peer`).
 */
async function readRetransmitting(): Promise<Map<string, Retransmission>> {
  const texts = await Promise.all(tables.map((table) => readFile(table, 'latin1').catch(() => '')));
  const rows = texts.flatMap((text) => [...text.matchAll(retransmitting)]);
  return new Map(
    rows.map(([, address = '', port = '', bytes = '', count = '']) => [
      `${readAddress(address)} ${Number.parseInt(port, 16)}`,
      { bytes: Number.parseInt(bytes, 16), count: Number.parseInt(count, 16) },
    ]),
  );
}

/**
 * Parses an address in the table, which shows each 32-bit word of the address as a number in the machine's byte order.
 * That order is little-endian on all platforms that Node supports.
 */
function readAddress(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = bytes.toString('hex').match(/.{4}/g) ?? [];
  return new SocketAddress({ family: 'ipv6', address: groups.join(':') }).address;
}

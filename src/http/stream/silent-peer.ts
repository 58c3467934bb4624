import { readFile } from 'node:fs/promises';
import { SocketAddress } from 'node:net';
import type { Connection } from './connection.ts';

/** How often the system's table of connections is read, and how long a client may acknowledge nothing, in ms. */
const times = { look: 5_000, patience: 15_000 };

/**
 * Linux's tables of connections. A row: its number, local and remote address and port, state (01: established),
 * unacknowledged and unread bytes, timer (01: retransmission) and its ticks, how many retransmissions went unanswered.
 * https://docs.kernel.org/networking/proc_net_tcp.html
 */
const tables = ['/proc/net/tcp', '/proc/net/tcp6'];
const retransmitting =
  /^ *\d+: [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]+):([0-9A-F]{4}) 01 ([0-9A-F]+):[0-9A-F]+ 01:[0-9A-F]+ (?!0{8})([0-9A-F]{8})/gm;

/** How many bytes the client has not acknowledged, and how many times the kernel has sent them again. */
type Retransmission = { bytes: number; count: number };

/**
 * When a connection stopped acknowledging, how many bytes it had acknowledged by then, and how many
 * retransmissions had gone unanswered at the last check.
 */
type Silence = { since: number; acknowledged: number; count: number };

/**
 * Finds the clients that have lost their network while bytes are on their way to them. TCP's keep-alive probes a
 * connection only when everything is acknowledged; otherwise the kernel retransmits for 15 minutes (`tcp_retries2`),
 * and Node has no setting for that. So this reads from the kernel how many times it has retransmitted. On systems other
 * than Linux it finds nothing: there, such a client counts as present until the system stops retransmitting.
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
    // Read before the table, so that bytes written while the table is read do not look like acknowledged ones.
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
   * An acknowledgement between two checks resets the kernel's count. On a network that loses many packets, the count
   * may have grown again since; the acknowledged bytes then reveal the acknowledgement.
   */
  #hasLeft(connection: Connection, latest: Silence): boolean {
    const known = this.#silences.get(connection);
    const isOngoing = known !== undefined && latest.count >= known.count && latest.acknowledged <= known.acknowledged;
    const { since, acknowledged } = isOngoing ? known : latest;
    this.#silences.set(connection, { since, acknowledged, count: latest.count });
    return latest.since - since >= times.patience;
  }
}

/** What the kernel is retransmitting, by the peer's address and port (as in `Connection.peer`). */
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
 * The table shows each 32-bit word of an address as a number in the machine's byte order, which is little-endian on all
 * of Node's platforms.
 */
function readAddress(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = bytes.toString('hex').match(/.{4}/g) ?? [];
  return new SocketAddress({ family: 'ipv6', address: groups.join(':') }).address;
}

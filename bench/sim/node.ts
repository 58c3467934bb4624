import { Station } from './station.ts';
import type { Place, World } from './world.ts';

type Message = { chat: number; sentAt: number; onAnswer: () => void };

/** These values match src/log/feed.ts and src/chat/group-commit.ts. */
const maxBatch = 500;

/** A node: an event loop that accepts sends, reads or receives the log, renders events and writes frames. */
export class SimNode {
  readonly loop: Station;
  isOpen = true;
  /** How many streams each chat has on this node. */
  readonly streams = new Map<number, number>();
  readonly #system: World;
  readonly #index: number;
  readonly #waiting: Message[] = [];
  #isCommitting = false;
  #position = 0;
  #isReading = false;
  #pending: number[] = [];
  #isRendering = false;

  constructor(system: World, index: number) {
    [this.#system, this.#index] = [system, index];
    this.loop = new Station(system.engine, 1);
  }

  /** Adds a stream to this node. */
  take(place: Place): void {
    place.node = this.#index;
    this.streams.set(place.chat, (this.streams.get(place.chat) ?? 0) + 1);
  }

  /** Removes a stream from this node. */
  drop(place: Place): void {
    place.node = -1;
    this.streams.set(place.chat, (this.streams.get(place.chat) ?? 1) - 1);
  }

  /** Accepts a request with a message, which goes into the next group commit. */
  send(message: Message, isBySql: boolean): void {
    const add = () => {
      this.#waiting.push(message);
      this.#commit(isBySql);
    };
    if (isBySql) add();
    else this.loop.submit(this.#system.costs.sendNode.message, add);
  }

  #commit(isBySql: boolean): void {
    if (this.#isCommitting || this.#waiting.length === 0) return;
    const { costs, postgres, commits, engine, latencies, isRecording } = this.#system;
    this.#isCommitting = true;
    const batch = this.#waiting.splice(0, maxBatch);
    const { commit, message } = costs.sendPostgres;
    // The last part of the work on PostgreSQL happens under the commit lock.
    const free = Math.max(0, commit + message * batch.length - costs.commitLock);
    const finish = () => {
      this.#system.append(batch.map(({ chat }) => chat));
      this.#isCommitting = false;
      for (const { sentAt, onAnswer } of batch) {
        if (isRecording) latencies.sends.push(engine.now - sentAt);
        onAnswer();
      }
      this.#commit(isBySql);
    };
    const work = () => postgres.submit(free, () => commits.submit(costs.commitLock, finish));
    if (isBySql) work();
    else this.loop.submit(costs.sendNode.commit, work);
  }

  /** Reads the log to its end, one batch after another. */
  read(): void {
    const { log, costs, postgres, plan } = this.#system;
    if (this.#isReading || this.#position >= log.length) return;
    this.#isReading = true;
    const from = this.#position;
    const to = Math.min(log.length, from + maxBatch);
    const { batch, event } = costs.readPostgres;
    // The publisher also reads the rows, for all nodes.
    const rows = plan.hasRedis ? costs.renderPostgres : { batch: 0, event: 0 };
    postgres.submit(batch + rows.batch + (event + rows.event) * (to - from), () => {
      this.#position = to;
      if (plan.hasRedis) this.#system.publish(from, to);
      this.loop.submit(costs.readNode.batch + costs.readNode.event * (to - from), () => {
        this.#isReading = false;
        this.#pass(from, to);
        this.read();
      });
    });
  }

  /** Receives events that the publisher has read. */
  receive(from: number, to: number, messages: number): void {
    const { costs } = this.#system;
    const pass = costs.readNode.batch + costs.readNode.event * (to - from);
    this.loop.submit(costs.receive * messages + pass, () => this.#pass(from, to));
  }

  #pass(from: number, to: number): void {
    const { log } = this.#system;
    for (let index = from; index < to; index += 1) {
      const entry = log[index];
      if (entry !== undefined && (this.streams.get(entry.chat) ?? 0) > 0) this.#pending.push(index);
    }
    this.#render();
  }

  /** Renders everything that is waiting: reads the rows, executes the subscription, and writes to each stream once. */
  #render(): void {
    if (this.#isRendering || this.#pending.length === 0) return;
    this.#isRendering = true;
    const { costs, postgres, log, plan } = this.#system;
    const batch = this.#pending.splice(0, maxBatch);
    const rows = costs.renderPostgres;
    const readRows = (done: () => void) =>
      plan.hasRedis ? done() : postgres.submit(rows.batch + rows.event * batch.length, done);
    readRows(() => {
      const byChat = Map.groupBy(batch, (index) => log[index]?.chat ?? 0);
      const execute = costs.renderNode.batch + costs.renderNode.event * batch.length;
      let write = 0;
      for (const [chat, events] of byChat) {
        const count = this.streams.get(chat) ?? 0;
        write += count * (costs.write + costs.writeMore * (events.length - 1));
      }
      this.loop.submit(execute + write, (startedAt) => {
        this.#record(byChat, { at: startedAt + execute, endedAt: startedAt + execute + write });
        this.#isRendering = false;
        this.#render();
      });
    });
  }

  /**
   * Frames are written one after the other, so on average, the frames of a chat arrive halfway through the chat's turn.
   */
  #record(byChat: Map<number, number[]>, { at, endedAt }: { at: number; endedAt: number }): void {
    const system = this.#system;
    if (!system.isRecording) return;
    const step = (endedAt - at) / byChat.size;
    let written = at + step / 2;
    for (const [chat, events] of byChat) {
      const count = this.streams.get(chat) ?? 0;
      system.deliveries += count * events.length;
      for (const index of events) {
        // Records one value for each event and node, because the latencies of the node's streams differ only by the
        // time that the writes take.
        if (count > 0) system.latencies.frames.push(written - (system.log[index]?.committedAt ?? 0));
      }
      written += step;
    }
  }
}

import { randomFrom } from '../random.ts';
import type { Costs } from './cost.ts';
import { Engine } from './engine.ts';
import { SimNode } from './node.ts';
import { Station } from './station.ts';
import type { Entry, Latencies, Place, Plan, World } from './world.ts';

/** All machines in the simulation. */
export class System implements World {
  readonly engine = new Engine();
  readonly random: () => number;
  readonly postgres: Station;
  readonly commits: Station;
  readonly redis: Station[];
  readonly nodes: SimNode[] = [];
  readonly log: Entry[] = [];
  readonly latencies: Latencies = { frames: [], sends: [], connects: [] };
  /** The streams that follow the chats, each with its node. */
  readonly places: Place[] = [];
  readonly plan: Plan;
  readonly costs: Costs;
  deliveries = 0;
  missed = 0;
  isRecording = false;

  constructor(plan: Plan, costs: Costs) {
    [this.plan, this.costs] = [plan, costs];
    this.random = randomFrom(plan.seed);
    this.postgres = new Station(this.engine, plan.postgresCores);
    this.commits = new Station(this.engine, 1);
    this.redis = Array.from({ length: plan.redisServers }, () => new Station(this.engine, 1));
    for (let index = 0; index < plan.nodes; index += 1) this.nodes.push(new SimNode(this, index));
    for (let chat = 0; chat < plan.chats; chat += 1) {
      for (let stream = 0; stream < plan.audience; stream += 1) this.#place(chat);
    }
    this.#beat();
    if (plan.senders === undefined) this.#arrive();
    else for (let sender = 0; sender < plan.senders; sender += 1) this.#sendAgain();
  }

  /** Runs for the warm-up, sets all figures to 0, and then runs for the given time. */
  measure({ warmUpMs, ms }: { warmUpMs: number; ms: number }): void {
    this.engine.run(this.engine.now + warmUpMs);
    for (const station of [this.postgres, this.commits, ...this.redis, ...this.nodes.map(({ loop }) => loop)])
      station.reset();
    for (const values of Object.values(this.latencies)) values.length = 0;
    [this.deliveries, this.missed, this.isRecording] = [0, 0, true];
    this.engine.run(this.engine.now + ms);
  }

  /** Returns a random node that accepts connections. */
  pickNode(): SimNode {
    const open = this.nodes.filter(({ isOpen }) => isOpen);
    return open[Math.floor(this.random() * open.length)] as SimNode;
  }

  /** Appends a transaction's committed messages to the log, and wakes its readers. */
  append(chats: readonly number[]): void {
    const committedAt = this.engine.now;
    for (const chat of chats) this.log.push({ chat, committedAt });
    if (this.plan.hasRedis) this.nodes[0]?.read();
    else for (const node of this.nodes) node.read();
  }

  /** Sends the events that have been read to all nodes: a header, and a piece for each shard with content. */
  publish(from: number, to: number): void {
    const { redis, publish } = this.costs;
    const shards = Math.min(to - from, 256);
    const each = redis.message + redis.receiver * (this.plan.nodes - 1);
    const [publisher] = this.nodes;
    publisher?.loop.submit(publish * (shards + 1), () => {
      const server = this.redis[Math.floor(this.random() * this.redis.length)];
      server?.submit(each * (shards + 1), () => {
        for (const node of this.nodes) if (node !== publisher) node.receive(from, to, shards + 1);
      });
    });
  }

  #place(chat: number): void {
    const place = { chat, node: -1 };
    this.places.push(place);
    this.pickNode().take(place);
  }

  #arrive(): void {
    const { messagesPerSecond, chats, isWrittenBySql } = this.plan;
    this.engine.after((-1_000 / messagesPerSecond) * Math.log(1 - this.random()), () => this.#arrive());
    const message = { chat: Math.floor(this.random() * chats), sentAt: this.engine.now, onAnswer: () => undefined };
    this.pickNode().send(message, isWrittenBySql ?? false);
  }

  #sendAgain(): void {
    const chat = Math.floor(this.random() * this.plan.chats);
    const onAnswer = () => this.engine.after(0.1, () => this.#sendAgain());
    this.engine.after(0, () => this.pickNode().send({ chat, sentAt: this.engine.now, onAnswer }, false));
  }

  /** Heartbeats: each idle stream gets one every 20 to 25 s. */
  #beat(): void {
    const ms = 50;
    const perNode = (this.plan.streams / this.plan.nodes) * (ms / 22_500) * this.costs.write;
    for (const { loop } of this.nodes) loop.submit(perNode);
    this.engine.after(ms, () => this.#beat());
  }
}

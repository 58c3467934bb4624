import type { SimNode } from './node.ts';
import type { System } from './system.ts';

/**
 * The values in src/http/stream: how long a stopping node takes to close its streams, and how long its clients take to
 * reconnect. In ms.
 */
const drain = { each: 2, most: 2_000 };
const retry = { least: 1_000, most: 5_000 };

/**
 * Stops or kills one node: its streams close, and each reopens on one of the other nodes. The node comes back after
 * `downMs`.
 */
export function stopNode(
  system: System,
  index: number,
  { downMs, isKilled }: { downMs: number; isKilled: boolean },
): void {
  const node = system.nodes[index] as SimNode;
  node.isOpen = false;
  const count = system.plan.streams / system.plan.nodes;
  const stepMs = isKilled ? 0 : Math.min(drain.each, drain.most / count);
  for (let stream = 0; stream < count; stream += 1) returnLater(system, stream * stepMs);
  const spreadMs = stepMs * count;
  for (const place of system.places.filter((some) => some.node === index)) {
    system.engine.after(system.random() * spreadMs, () => {
      node.drop(place);
      system.engine.after(retryMs(system), () => system.pickNode().take(place));
    });
  }
  system.engine.after(downMs, () => (node.isOpen = true));
}

/** Breaks all connections at once, as when the network or the load balancer fails for a moment. */
export function cutAll(system: System): void {
  for (let stream = 0; stream < system.plan.streams; stream += 1) returnLater(system, 0);
  for (const place of system.places) {
    system.nodes[place.node]?.drop(place);
    system.engine.after(retryMs(system), () => system.pickNode().take(place));
  }
}

function retryMs({ random }: System): number {
  return retry.least + random() * (retry.most - retry.least);
}

/** Makes a stream that ends `ms` from now reconnect after its client's wait and receive the events that it missed. */
function returnLater(system: System, ms: number): void {
  const { engine, costs, plan, latencies } = system;
  const waitMs = retryMs(system);
  const missed = ((waitMs / 1_000) * plan.messagesPerSecond * plan.audience) / plan.streams;
  engine.after(ms + waitMs, () => {
    const [startedAt, node] = [engine.now, system.pickNode()];
    // The request with its token comes first, then the statement, and then the replay and CaughtUp.
    node.loop.submit(costs.connectNode / 2, () =>
      system.postgres.submit(costs.connectPostgres + missed * costs.replayPostgres, () =>
        node.loop.submit(costs.connectNode / 2 + missed * costs.replayNode, () =>
          latencies.connects.push(engine.now - startedAt),
        ),
      ),
    );
  });
}

/** How many streams the fullest node has while all nodes restart one after the other, relative to the average. */
export function rollingPeak(nodes: number): number {
  const shares = Array.from({ length: nodes }, () => 1);
  let peak = 1;
  for (let index = 0; index < nodes; index += 1) {
    const moved = (shares[index] ?? 0) / (nodes - 1);
    shares[index] = 0;
    for (let other = 0; other < nodes; other += 1) if (other !== index) shares[other] = (shares[other] ?? 0) + moved;
    peak = Math.max(peak, ...shares);
  }
  return peak;
}

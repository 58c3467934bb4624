/** Returns the name of the channel for the headers of a log. */
export function headerChannel(epoch: string): string {
  return `parley:${epoch}:log`;
}

/** Returns the name of the channel for the pieces of one shard. */
export function shardChannel(epoch: string, shard: number): string {
  return `parley:${epoch}:log:${shard}`;
}

/** The channel for the headers of a log. */
export function headerChannel(epoch: string): string {
  return `parley:${epoch}:log`;
}

/** The channel for one shard's pieces. */
export function shardChannel(epoch: string, shard: number): string {
  return `parley:${epoch}:log:${shard}`;
}

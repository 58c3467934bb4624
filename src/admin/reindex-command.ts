import { indexBacklog, queueEverything } from '../search/search-index.ts';
import { readArguments, type Command } from './command.ts';

/** Rebuilds the search index. */
export const reindex: Command = {
  usage: 'reindex',
  meaning: 'fills the search index again, for all messages, users and public channels; searches work in the meantime',
  run: async ({ db }, args) => {
    readArguments(args, { texts: { min: 0, max: 0 } });
    await queueEverything(db.pool);
    // A running server may do part of the work.
    while ((await indexBacklog(db)) > 0);
    const { rows } = await db.pool.query<{ messages: string; people: string; channels: string }>(
      `select (select count(*) from search_entries)::text as messages,
        (select count(*) from search_people)::text as people, (select count(*) from search_channels)::text as channels`,
    );
    const { messages, people, channels } = rows[0] ?? {};
    return `${messages} messages, ${people} users and ${channels} public channels are indexed.`;
  },
};

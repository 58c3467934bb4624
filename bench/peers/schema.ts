import { createPubSub, createSchema } from 'graphql-yoga';
import { contentOf } from '../document.ts';

/**
 * An event in the shape of this server's API. All the data is already in memory, which is cheaper than any database.
 */
export type Envelope = {
  cursor: string;
  at: string;
  event: {
    __typename: 'NewMessage';
    message: {
      id: string;
      seq: number;
      content: string;
      sender: { username: string; displayName: string };
      chat: { id: string };
    };
  };
};

/** Returns the event with that seq. */
export function createEnvelope(seq: number): Envelope {
  return {
    cursor: `0a1b2c3d4e5f.${seq}`,
    at: '2026-11-22T10:29:00.000Z',
    event: {
      __typename: 'NewMessage',
      message: {
        id: Buffer.from(`Message:${seq}`).toString('base64'),
        seq,
        content: contentOf(seq),
        sender: { username: 'person1', displayName: 'Person 1' },
        chat: { id: 'Q2hhdDox' },
      },
    },
  };
}

/** In-process publish and subscribe, as in Yoga's documentation: one iterator for each subscriber. */
export const pubSub = createPubSub<{ events: [Envelope] }>();

/** The part of this server's schema that the benchmark uses. */
export const schema = createSchema({
  typeDefs: `
    type Query { hello: String }
    type Subscription { events(after: String): EventEnvelope! }
    type EventEnvelope { cursor: String! at: String! event: Event! }
    union Event = NewMessage | CaughtUp
    type NewMessage { message: Message! }
    type CaughtUp { replayed: Int! }
    type Message { id: ID! seq: Int! content: String sender: User chat: Chat! }
    type User { username: String! displayName: String }
    type Chat { id: ID! }
  `,
  resolvers: {
    Subscription: {
      events: { subscribe: () => pubSub.subscribe('events'), resolve: (envelope: Envelope) => envelope },
    },
  },
});

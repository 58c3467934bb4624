import { builder } from './builder.ts';
import type { Envelope } from './event.ts';

/** The type of every item that a subscription sends. */
export const EnvelopeRef = builder.objectRef<Envelope>('EventEnvelope');

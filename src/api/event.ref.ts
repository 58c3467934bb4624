import { builder } from './builder.ts';
import type { Envelope } from './event.ts';

/** The type of everything that a subscription sends. */
export const EnvelopeRef = builder.objectRef<Envelope>('EventEnvelope');

import { builder } from './builder.ts';
import type { Envelope } from './event.ts';

/** What a subscription sends. */
export const EnvelopeRef = builder.objectRef<Envelope>('EventEnvelope');

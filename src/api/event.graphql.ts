import { builder } from './builder.ts';
import { defineNotice, listEventTypes } from './event.ts';
import { EnvelopeRef } from './event.ref.ts';
import { asciiSize } from './field-size.ts';

defineNotice('CaughtUp', {
  description:
    "What follows is live. Sent again now and then while nothing happens, so that a quiet client's cursor stays fresh.",
  fields: (t) => ({ replayed: t.exposeInt('replayed') }),
});

defineNotice('Reset', {
  description:
    "The replay is not possible (the cursor is too old, or from another database): refetch, then go on from this envelope's cursor.",
  fields: (t) => ({ reason: t.exposeString('reason', { extensions: asciiSize(200) }) }),
});

const EventRef = builder.unionType('Event', {
  description: 'Ignore members that you do not know: more will come.',
  types: () => [...listEventTypes()],
  resolveType: ({ kind }) => kind,
});

EnvelopeRef.implement({
  fields: (t) => ({
    cursor: t.exposeString('cursor', { extensions: asciiSize(32) }),
    at: t.expose('at', { type: 'DateTime' }),
    event: t.field({ type: EventRef, resolve: ({ event }) => event }),
  }),
});

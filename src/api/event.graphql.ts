import { builder } from './builder.ts';
import { defineNotice, listEventTypes } from './event.ts';
import { EnvelopeRef } from './event.ref.ts';
import { asciiSize } from './field-size.ts';

defineNotice('CaughtUp', {
  description:
    "All events after this one are live. Sent again every minute while no events occur, so that an idle client's cursor stays recent.",
  fields: (t) => ({ replayed: t.exposeInt('replayed') }),
});

defineNotice('Reset', {
  description:
    'Events cannot be replayed, because the cursor is too old or comes from another database. Fetch everything again, and then continue from the cursor of this envelope.',
  fields: (t) => ({ reason: t.exposeString('reason', { extensions: asciiSize(200) }) }),
});

const EventRef = builder.unionType('Event', {
  description: 'Ignore event types that you do not know, because more will be added.',
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

import type { FieldMap, ObjectRef } from '@pothos/core';
import type { EnvelopeHead } from '../live/event-renderer.ts';
import { whenThere, type Soon } from '../core/soon.ts';
import type { Notice } from '../live/notice.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import { builder } from './builder.ts';
import { primeEventRows } from './event-rows.ts';

/**
 * An event and the rows that it is about, as they are when the event is delivered. `kind` is the name of its GraphQL
 * type.
 */
export type EventValue = { kind: string };

/** An event in transit: its position in the log, its time, and the event itself. */
export type Envelope = EnvelopeHead & { event: EventValue };

type SchemaTypes = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer Types> ? Types : never;
type Fields<Value> = (t: PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, Value>) => FieldMap;
type LoadEvent = (event: LoggedEvent, loaders: Loaders) => Soon<object | null>;

const eventTypes: ObjectRef<SchemaTypes, EventValue>[] = [];
const loads = new Map<string, LoadEvent>();

/**
 * Declares an event from the log as a member of the union `Event`. `kind` is both the value that the trigger writes and
 * the name of the GraphQL type. `load` reads the object that the event is about, or returns null if that object no
 * longer exists. The event is then left out, because the event that removed the object follows. `load` must use
 * loaders, so that one statement can serve many events.
 */
export function defineEvent<Value extends object>(
  kind: string,
  options: {
    description?: string;
    load: (event: LoggedEvent, loaders: Loaders) => Soon<Value | null>;
    fields: Fields<Value>;
  },
): void {
  loads.set(kind, options.load);
  defineType<Value>(kind, options);
}

/** Declares a member of the union `Event` that streams receive but that is not in the log. */
export function defineNotice<Kind extends Notice['kind']>(
  kind: Kind,
  options: { description?: string; fields: Fields<Extract<Notice, { kind: Kind }>> },
): void {
  defineType<Extract<Notice, { kind: Kind }>>(kind, options);
}

/** Lists all members of the union `Event` declared so far. */
export function listEventTypes(): readonly ObjectRef<SchemaTypes, EventValue>[] {
  return eventTypes;
}

/**
 * Loads an event together with the object that the event is about. Does so synchronously if the loaders already have
 * the object. Returns null for an event that no client receives, because its subject no longer exists, or because its
 * kind is internal or newer than this version of parley. Rejects if the database does not answer.
 */
export function loadEvent(event: LoggedEvent, loaders: Loaders): Soon<EventValue | null> {
  primeEventRows(event, loaders);
  const load = loads.get(event.kind);
  if (load === undefined) return null;
  return whenThere(load(event, loaders), (value) => value && { ...value, kind: event.kind });
}

function defineType<Value extends object>(
  kind: string,
  { description, fields }: { description?: string; fields: Fields<Value> },
): void {
  const ref = builder.objectRef<Value>(kind);
  ref.implement({ ...(description !== undefined && { description }), fields });
  // The union reads only the `kind` of its members.
  eventTypes.push(ref as unknown as ObjectRef<SchemaTypes, EventValue>);
}

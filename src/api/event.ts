import type { FieldMap, ObjectRef } from '@pothos/core';
import type { EnvelopeHead } from '../live/event-renderer.ts';
import type { Notice } from '../live/notice.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Loaders } from '../postgres/loader.ts';
import { builder } from './builder.ts';

/** What happened, with the rows that it is about as they are at delivery. `kind` names its GraphQL type. */
export type EventValue = { kind: string };

/** One event on its way: where it stands in the log, when it happened, and what it is. */
export type Envelope = EnvelopeHead & { event: EventValue };

type SchemaTypes = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer Types> ? Types : never;
type Fields<Value> = (t: PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, Value>) => FieldMap;
type LoadEvent = (event: LoggedEvent, loaders: Loaders) => Promise<object | null>;

const eventTypes: ObjectRef<SchemaTypes, EventValue>[] = [];
const loads = new Map<string, LoadEvent>();

/**
 * Declares an event of the log as a member of the union `Event`. `kind` is what the trigger writes and what the GraphQL
 * type is called. `load` reads what the event is about; null when that is gone by now: the event is then left out, for
 * the event that removed it follows. It must use loaders, so that many events share a statement.
 */
export function defineEvent<Value extends object>(
  kind: string,
  options: {
    description?: string;
    load: (event: LoggedEvent, loaders: Loaders) => Promise<Value | null>;
    fields: Fields<Value>;
  },
): void {
  loads.set(kind, options.load);
  defineType<Value>(kind, options);
}

/** Declares something that streams are told beside the events of the log as a member of the union `Event`. */
export function defineNotice<Kind extends Notice['kind']>(
  kind: Kind,
  options: { description?: string; fields: Fields<Extract<Notice, { kind: Kind }>> },
): void {
  defineType<Extract<Notice, { kind: Kind }>>(kind, options);
}

/** All members of the union `Event`, as far as they have been declared by now. */
export function listEventTypes(): readonly ObjectRef<SchemaTypes, EventValue>[] {
  return eventTypes;
}

/**
 * The event with what it is about, or null for one that no one is told of: its subject is gone, or its kind is internal
 * or newer than this program. Rejects when the database can't be asked.
 */
export async function loadEvent(event: LoggedEvent, loaders: Loaders): Promise<EventValue | null> {
  const value = await loads.get(event.kind)?.(event, loaders);
  return value == null ? null : { ...value, kind: event.kind };
}

function defineType<Value extends object>(
  kind: string,
  { description, fields }: { description?: string; fields: Fields<Value> },
): void {
  const ref = builder.objectRef<Value>(kind);
  ref.implement({ ...(description !== undefined && { description }), fields });
  // The union asks its members nothing but their kind.
  eventTypes.push(ref as unknown as ObjectRef<SchemaTypes, EventValue>);
}

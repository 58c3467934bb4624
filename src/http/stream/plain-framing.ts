import { problemOfError } from '../rest/problem.ts';
import { eventStream, type Framing } from './framing.ts';

/** The result of a document of rest/event-document.ts, as `Rendering.payload` has it. */
type Result = {
  data?: Record<string, { at: string; event: { type: string } } | null> | null;
  errors?: readonly { message: string; extensions?: Record<string, unknown> }[];
};

/**
 * Plain Server-Sent Events: the name of each is the event's type, and its data is the event itself. A failure is named
 * `problem`. Nothing marks the end of the events: a client that reconnects afterwards is refused with a status.
 */
export const plainEvents: Framing = {
  ...eventStream,
  next: (payload, cursor) => {
    const { data, errors = [] }: Result = JSON.parse(payload);
    const id = cursor === null ? '' : `id: ${cursor}\n`;
    const [envelope] = Object.values(data ?? {});
    if (envelope == null) {
      const [error = { message: 'Internal server error.' }] = errors;
      return `${id}event: problem\ndata: ${JSON.stringify(problemOfError(error))}\n\n`;
    }
    const { type, ...rest } = envelope.event;
    return `${id}event: ${type}\ndata: ${JSON.stringify({ type, at: envelope.at, ...rest })}\n\n`;
  },
  // An empty frame, because a chunk without bytes would end the response.
  complete: ':\n\n',
};

import { problemOfError } from '../rest/problem.ts';
import { eventStream, type Framing } from './framing.ts';

/** The result of a document from rest/event-document.ts, as it appears in `Rendering.payload`. */
type Result = {
  data?: Record<string, { at: string; event: { type: string } } | null> | null;
  errors?: readonly { message: string; extensions?: Record<string, unknown> }[];
};

/**
 * The format of plain Server-Sent Events. The name of each event is its type, and the data is the event itself.
 * A failure is named `problem`. The end of the events is not marked. If a client reconnects after the end, it is
 * refused with an error status.
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

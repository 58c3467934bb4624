import { ParleyError } from 'parley-client';
import { momentOf } from './time.ts';

/** Returns a message that tells the user why something failed. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof ParleyError)) return 'The server cannot be reached.';
  const [field] = error.fields;
  if (field?.message !== undefined) return `${titleOf(field.path.at(-1))} ${field.message}.`;
  if (error.code === 'RATE_LIMITED' && error.retryAfterSeconds !== null) {
    return `Please wait ${error.retryAfterSeconds} seconds.`;
  }
  const until = error.until === null ? '' : ` Until ${momentOf(error.until)}.`;
  const reason = error.reason === null ? '' : ` The reason: “${error.reason}”`;
  return `${error.message}${until}${reason}`;
}

/** Converts the name of a field to words: `newPassword` becomes `New password`. */
function titleOf(name = 'this'): string {
  const words = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Returns the problem with one field of a form, or undefined if there is none. */
export function problemWith(error: unknown, name: string): string | undefined {
  if (!(error instanceof ParleyError)) return undefined;
  return error.fields.find(({ path }) => path.includes(name))?.message;
}

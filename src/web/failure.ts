import { ParleyError } from 'parley-client';

/** Says to the user why something failed. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof ParleyError)) return 'The server cannot be reached.';
  const [field] = error.fields;
  if (field?.message !== undefined) return `${field.path.at(-1) ?? 'This'} ${field.message}.`;
  if (error.code === 'RATE_LIMITED' && error.retryAfterSeconds !== null) {
    return `Please wait ${error.retryAfterSeconds} seconds.`;
  }
  return error.message;
}

/** What is wrong with one field of a form; undefined if nothing is. */
export function problemWith(error: unknown, name: string): string | undefined {
  if (!(error instanceof ParleyError)) return undefined;
  return error.fields.find(({ path }) => path.includes(name))?.message;
}

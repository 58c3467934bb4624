/** An expected failure from the API (`code` as in ErrorCode) or a refused request (`code` as in extensions.code). */
export class ParleyError extends Error {
  override readonly name = 'ParleyError';
  readonly code: string;
  /** The input fields that were refused, each with the reason. */
  readonly fields: readonly { readonly path: readonly string[]; readonly message: string }[];
  /** For RATE_LIMITED, how long to wait before another attempt; otherwise null. */
  readonly retryAfterSeconds: number | null;
  /**
   * For a FORBIDDEN that is caused by a suspension, a ban or a mute: when the restriction ends by itself, and why it
   * was imposed. Each of these is null if there is no such time or reason.
   */
  readonly until: string | null;
  readonly reason: string | null;

  constructor(
    code: string,
    message: string,
    {
      fields = [],
      retryAfterSeconds = null,
      until = null,
      reason = null,
    }: Partial<Pick<ParleyError, 'fields' | 'retryAfterSeconds' | 'until' | 'reason'>> = {},
  ) {
    super(message);
    this.code = code;
    this.fields = fields;
    this.retryAfterSeconds = retryAfterSeconds;
    this.until = until;
    this.reason = reason;
  }
}

/** The server cannot be reached, or something else answered in its place. Try again later. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

/** Returns whether the same request may succeed later. */
export function isTemporary(error: unknown): boolean {
  return (
    error instanceof Unreachable ||
    (error instanceof ParleyError && (error.code === 'INTERNAL' || error.code === 'RATE_LIMITED'))
  );
}

import type { GraphQLError } from 'graphql';

/** A request that is refused before any of it is executed; `headers` are sent with the response. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;
  readonly #errors: readonly GraphQLError[] | null;

  /** `errors` are detailed errors, which are sent instead of `message`. */
  constructor(
    status: number,
    message: string,
    options: { code?: string; headers?: Record<string, string>; errors?: readonly GraphQLError[] } = {},
  ) {
    super(message);
    this.status = status;
    this.code = options.code ?? 'BAD_REQUEST';
    this.headers = options.headers ?? {};
    this.#errors = options.errors ?? null;
  }

  /** The body that the client receives. */
  get body(): { errors: readonly object[] } {
    return { errors: this.#errors ?? [{ message: this.message, extensions: { code: this.code } }] };
  }
}

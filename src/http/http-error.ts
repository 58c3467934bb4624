import type { GraphQLError } from 'graphql';

/** A request that is refused before anything of it is executed; `headers` say what would be right. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;
  readonly #errors: readonly GraphQLError[] | null;

  /** `errors`: what is wrong in detail, to be told in the place of `message`. */
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

  /** What the client is told. */
  get body(): { errors: readonly object[] } {
    return { errors: this.#errors ?? [{ message: this.message, extensions: { code: this.code } }] };
  }
}

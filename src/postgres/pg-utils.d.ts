declare module 'pg/lib/utils.js' {
  /** The text or the bytes in which the driver sends a parameter. */
  export function prepareValue(value: unknown): string | Buffer | null;
}

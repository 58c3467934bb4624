declare module 'pg/lib/utils.js' {
  /** Returns the text or the bytes that the driver sends for a parameter. */
  export function prepareValue(value: unknown): string | Buffer | null;
}

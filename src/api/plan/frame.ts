/** The path to a value in an answer, in the form in which graphql-js passes it to resolvers. */
export type Path = {
  readonly prev: Path | undefined;
  readonly key: string | number;
  readonly typename: string | undefined;
};

/** An object or a list in the answer that is being built. */
export class Frame {
  /** The frame that contains this frame; null for the root. */
  readonly up: Frame | null;
  /** The key of this frame in the frame that contains it. */
  readonly key: string | number;
  /** Whether it is an error for this frame to be null. */
  readonly isRequired: boolean;
  /** The name of the object's type; undefined for a list. */
  readonly typeName: string | undefined;
  /** The object or the list itself. */
  readonly result: Record<string | number, unknown>;
  /** The number of values that are not complete yet. */
  pending = 0;
  /** The error of one of the fields, kept while other fields are pending. */
  error: Error | null = null;
  /** Whether the frame is complete or has failed. */
  isSettled = false;
  /** The keys whose values were set to null because of errors, or null if there are none. */
  nulled: Set<string | number> | null = null;

  constructor(
    up: Frame | null,
    of: { key: string | number; isRequired: boolean; typeName: string | undefined },
    result: Record<string | number, unknown>,
  ) {
    this.up = up;
    this.key = of.key;
    this.isRequired = of.isRequired;
    this.typeName = of.typeName;
    this.result = result;
  }

  /** Returns the path to one of the frame's values. Only errors and a few resolvers need it. */
  pathTo(key: string | number): Path {
    return { prev: this.up?.pathTo(this.key), key, typename: this.typeName };
  }

  /** Returns the keys that lead from the root of the answer to one of this frame's values. */
  keysTo(key: string | number): (string | number)[] {
    return [...(this.up?.keysTo(this.key) ?? []), key];
  }
}

/** A place in an answer, as graphql-js describes it to resolvers. */
export type Path = {
  readonly prev: Path | undefined;
  readonly key: string | number;
  readonly typename: string | undefined;
};

/** An object or a list of the answer that is being filled. */
export class Frame {
  /** The frame around it; null for the root. */
  readonly up: Frame | null;
  /** Where it is in the frame around it. */
  readonly key: string | number;
  /** Whether null in its place is an error. */
  readonly isRequired: boolean;
  /** The name of the object's type; undefined for a list. */
  readonly typeName: string | undefined;
  /** The object, or the list. */
  readonly result: Record<string | number, unknown>;
  /** How many of its values are not complete yet. */
  pending = 0;
  /** The error of one of its fields, while others are pending. */
  error: Error | null = null;
  /** Whether it is complete, or has failed. */
  isSettled = false;
  /** The keys whose values were set to null because of errors; null if there are none. */
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

  /** The path to one of the frame's values; only errors and a few resolvers need it. */
  pathTo(key: string | number): Path {
    return { prev: this.up?.pathTo(this.key), key, typename: this.typeName };
  }

  /** The keys from the root of the answer to one of its values. */
  keysTo(key: string | number): (string | number)[] {
    return [...(this.up?.keysTo(this.key) ?? []), key];
  }
}

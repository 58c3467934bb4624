/** A place in an answer, as graphql-js describes it to resolvers. */
export type Path = {
  readonly prev: Path | undefined;
  readonly key: string | number;
  readonly typename: string | undefined;
};

/** The keys from the root of the answer to the place. */
export function toKeys(path: Path | undefined): (string | number)[] {
  const keys: (string | number)[] = [];
  for (let at = path; at !== undefined; at = at.prev) keys.push(at.key);
  return keys.toReversed();
}

/** An object or a list of the answer that is being filled. */
export class Frame {
  /** The frame around it; null for the root. */
  readonly up: Frame | null;
  /** Where it is in that frame. */
  readonly key: string | number;
  readonly path: Path | undefined;
  /** Whether null in its place is an error. */
  readonly isRequired: boolean;
  /** The object, or the list. */
  readonly result: Record<string | number, unknown>;
  /** How many of its values are not complete yet. */
  pending = 0;
  /** The error of one of its fields, while others are pending. */
  error: Error | null = null;
  /** Whether it is complete, or has failed. */
  isSettled = false;

  constructor(
    up: Frame | null,
    place: { key: string | number; path: Path | undefined; isRequired: boolean },
    result: Record<string | number, unknown>,
  ) {
    this.up = up;
    this.key = place.key;
    this.path = place.path;
    this.isRequired = place.isRequired;
    this.result = result;
  }
}

import type { ExecutionResult, GraphQLError } from 'graphql';
import type { Soon } from '../../core/soon.ts';
import { Frame } from './frame.ts';

/** The properties of a value's position that determine what happens when the value fails. */
type FailedPlace = { frame: Frame; key: string | number; value: { isRequired: boolean } };

/**
 * The answer of one execution while it is being built. It is complete when nothing in it is pending. An error sets the
 * nearest nullable place to null.
 */
export class Answer {
  readonly root: Frame;
  readonly #errors: GraphQLError[] = [];
  #outcome: ExecutionResult | null = null;
  /** Set if a caller asks for the result before it is complete. */
  #awaited: PromiseWithResolvers<ExecutionResult> | null = null;
  readonly #continue: () => boolean;

  /**
   * `typeName` is the type of the root. `onIdle` is called when nothing is pending, and returns whether it has started
   * more work.
   */
  constructor(typeName: string, onIdle: () => boolean) {
    this.root = new Frame(null, { key: '', isRequired: false, typeName }, {});
    this.#continue = onIdle;
  }

  get result(): Soon<ExecutionResult> {
    if (this.#outcome !== null) return this.#outcome;
    this.#awaited ??= Promise.withResolvers();
    return this.#awaited.promise;
  }

  /**
   * Records the error of a failed value. A required value may fail here only after the fields of its frame have run.
   */
  failPlace({ frame, key, value }: FailedPlace, error: Error): void {
    if (value.isRequired) return this.failFrame(frame, error);
    if (!isNull(frame, key)) {
      this.#report(error);
      (frame.nulled ??= new Set()).add(key);
    }
    frame.result[key] = null;
  }

  /** Records that a frame has failed because a required value is missing. */
  failFrame(frame: Frame, latest: Error): void {
    if (frame.isSettled) return;
    frame.isSettled = true;
    const error = frame.error ?? latest;
    const { up, key, isRequired } = frame;
    if (up === null) {
      this.#report(error);
      this.#end(null);
      return;
    }
    this.failPlace({ frame: up, key, value: { isRequired } }, error);
    this.countDown(up);
  }

  /** Records that one of the frame's pending values has arrived or has failed. */
  countDown(frame: Frame): void {
    frame.pending -= 1;
    if (frame.pending === 0) this.finish(frame);
  }

  /** Settles a frame in which nothing is pending. */
  finish(frame: Frame): void {
    if (frame.isSettled) return;
    if (frame.error !== null) return this.failFrame(frame, frame.error);
    const { up } = frame;
    if (up === null && this.#continue()) return;
    frame.isSettled = true;
    if (up === null) this.#end(frame.result);
    else this.countDown(up);
  }

  #report(error: Error): void {
    // Every error has been through `locatedError`, so it is a GraphQLError with the path of its value.
    this.#errors.push(error as GraphQLError);
  }

  #end(data: Record<string, unknown> | null): void {
    this.#outcome = this.#errors.length === 0 ? { data } : { errors: this.#errors, data };
    this.#awaited?.resolve(this.#outcome);
  }
}

/**
 * Returns whether an error has set the value, or an object or list around it, to null. As in graphql-js, later errors
 * in the same place are not reported.
 */
function isNull(frame: Frame, key: string | number): boolean {
  if (frame.nulled?.has(key)) return true;
  // Once the root is settled, the answer is final.
  return frame.up === null ? frame.isSettled : isNull(frame.up, frame.key);
}

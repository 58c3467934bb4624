import type { ExecutionResult, GraphQLError } from 'graphql';
import { Frame, type Path } from './frame.ts';

/** A value's place, as far as its failure is concerned. */
type FailedPlace = { frame: Frame; key: string | number; path: Path; value: { isRequired: boolean } };

/**
 * The answer of one execution while it is being filled: it is complete when nothing in it is pending. Errors set the
 * nearest place to null that may be null.
 */
export class Answer {
  readonly root = new Frame(null, { key: '', path: undefined, isRequired: false }, {});
  readonly #errors: GraphQLError[] = [];
  /** The places that errors have set to null; `undefined` is the whole answer. */
  readonly #nulled = new Set<Path | undefined>();
  readonly #ended = Promise.withResolvers<ExecutionResult>();
  readonly #continue: () => boolean;

  /** `onIdle` is called when nothing is pending; it returns whether it has begun something else. */
  constructor(onIdle: () => boolean) {
    this.#continue = onIdle;
  }

  get result(): Promise<ExecutionResult> {
    return this.#ended.promise;
  }

  /** Records the error of a value that is not there. The frame must not be running. */
  failPlace({ frame, key, value, path }: FailedPlace, error: Error): void {
    if (value.isRequired) return this.failFrame(frame, error);
    this.#report(error, path);
    frame.result[key] = null;
  }

  /** Records that a frame cannot be, because a value that it requires is not there. */
  failFrame(frame: Frame, latest: Error): void {
    if (frame.isSettled) return;
    frame.isSettled = true;
    const error = frame.error ?? latest;
    const { up, key, path, isRequired } = frame;
    if (up === null || path === undefined) {
      this.#report(error, undefined);
      this.#end(null);
      return;
    }
    this.failPlace({ frame: up, key, path, value: { isRequired } }, error);
    this.countDown(up);
  }

  /** One of the frame's pending values is there, or has failed. */
  countDown(frame: Frame): void {
    frame.pending -= 1;
    if (frame.pending === 0) this.finish(frame);
  }

  /** Nothing in the frame is pending. */
  finish(frame: Frame): void {
    if (frame.isSettled) return;
    if (frame.error !== null) return this.failFrame(frame, frame.error);
    const { up } = frame;
    if (up === null && this.#continue()) return;
    frame.isSettled = true;
    if (up === null) this.#end(frame.result);
    else this.countDown(up);
  }

  /** As in graphql-js, what fails in a place that is null already is not reported. */
  #report(error: Error, path: Path | undefined): void {
    for (let at = path; at !== undefined; at = at.prev) if (this.#nulled.has(at)) return;
    if (this.#nulled.has(undefined)) return;
    this.#nulled.add(path);
    // Every error has been located, at the value that it is about.
    this.#errors.push(error as GraphQLError);
  }

  #end(data: Record<string, unknown> | null): void {
    this.#ended.resolve(this.#errors.length === 0 ? { data } : { errors: this.#errors, data });
  }
}

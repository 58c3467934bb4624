/**
 * A value or a promise of a value. This type lets code that usually has its values already avoid the cost of promises.
 */
export type Soon<Value> = Value | Promise<Value>;

/** Whether the value still has to be awaited. */
export function isPromise<Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Uses a value immediately if it is available, and otherwise when its promise resolves. */
export function whenThere<Value, Result>(value: Soon<Value>, use: (value: Value) => Soon<Result>): Soon<Result> {
  return isPromise(value) ? Promise.resolve(value).then(use) : use(value);
}

/** Waits for those values that are still promises. */
export function allThere<Value>(values: readonly Soon<Value>[]): Soon<readonly Value[]> {
  return values.some(isPromise) ? Promise.all(values) : (values as readonly Value[]);
}

/** A value, or a promise of it. Code that mostly has its values at hand avoids the cost of promises. */
export type Soon<Value> = Value | Promise<Value>;

/** Whether the value still has to be awaited. */
export function isPromise<Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Uses a value now if it is at hand, and otherwise when it arrives. */
export function whenThere<Value, Result>(value: Soon<Value>, use: (value: Value) => Soon<Result>): Soon<Result> {
  return isPromise(value) ? Promise.resolve(value).then(use) : use(value);
}

/** Waits for those values that are not at hand. */
export function allThere<Value>(values: readonly Soon<Value>[]): Soon<readonly Value[]> {
  return values.some(isPromise) ? Promise.all(values) : (values as readonly Value[]);
}

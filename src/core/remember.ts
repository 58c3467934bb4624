/**
 * The maximum number of strings that are remembered, and the maximum length of each. Nearly all clients send the same
 * few strings.
 */
const limits = { count: 256, length: 256 };

/**
 * Returns a function that caches the results of `read`, a function of a short string. This helps because most requests
 * have the same headers. `read` must always return the same result for the same string, and callers must not modify the
 * result. Pass whole strings, such as the value of a header: a substring may keep the entire original string in memory.
 */
export function rememberByText<Value>(read: (text: string) => Value): (text: string) => Value {
  const known = new Map<string, { value: Value }>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found.value;
    const value = read(text);
    if (text.length > limits.length) return value;
    // After the map is cleared, `read` is called only once more per string, so a client that keeps sending new strings
    // hardly affects the other clients.
    if (known.size >= limits.count) known.clear();
    known.set(text, { value });
    return value;
  };
}

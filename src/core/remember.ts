/** How many texts are remembered, and the longest one: nearly all clients send the same few. */
const limits = { count: 256, length: 256 };

/**
 * Makes a function of a short text remember its results: most requests have the same headers. `read` must always return
 * the same for the same text, and callers must not change what it returns. Give it whole texts, such as the value of a
 * header: a part of a string may keep all of it in memory.
 */
export function rememberByText<Value>(read: (text: string) => Value): (text: string) => Value {
  const known = new Map<string, { value: Value }>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found.value;
    const value = read(text);
    if (text.length > limits.length) return value;
    // A client that keeps sending new texts makes others wait for one more reading of theirs.
    if (known.size >= limits.count) known.clear();
    known.set(text, { value });
    return value;
  };
}

/**
 * Frees the memory of a chunk that no one will read again. Afterwards, the chunk is empty. If V8 has to free the
 * chunks, 100 MB of them cause three collections of the whole heap (a third of the measured upload time). If the chunk
 * is part of a larger buffer, does nothing, because other code may use the rest of that buffer.
 */
export function releaseBytes(chunk: Uint8Array): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && chunk.byteLength === buffer.byteLength) buffer.transfer(0);
}

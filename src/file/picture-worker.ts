import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { PictureAnswer, PictureFacts, Pixels } from './picture-protocol.ts';

/** One picture may take so long, from its first byte to its last. */
const maxPictureMs = 20_000;
/** A worker that has had nothing to do for so long ends; starting another one takes about half a second. */
const idleMs = 60_000;

const program = join(import.meta.dirname, 'picture-program.ts');

/** The worker was ended, by time or by memory, or ended by itself: the picture is too much for it. */
export class PictureTooHeavy extends Error {}

/** What a worker has found out. `upright` gives the picture turned upright, which is to be read before the next picture. */
export type Development =
  | { kind: 'unknown' }
  | { kind: 'undecodable'; facts: PictureFacts | null; isTooHeavy: boolean }
  | { kind: 'decoded'; facts: PictureFacts; pixels: Pixels; upright: (() => AsyncGenerator<Buffer>) | null };

/**
 * A process that decodes pictures, one at a time. It starts with its first picture, and is ended when one takes longer than
 * it may: nothing that a decoder does can hold up or take down the server.
 */
export class PictureWorker {
  #child: ChildProcess | null = null;
  #idle: NodeJS.Timeout | undefined;
  readonly #maxMs: number;

  /** `maxMs`: how long a picture may take. */
  constructor(maxMs = maxPictureMs) {
    this.#maxMs = maxMs;
  }

  /** Decodes a picture, and gives what came of it to `use`, all within the time that a picture has. */
  async develop<Result>(content: Buffer | string, use: (found: Development) => Promise<Result>): Promise<Result> {
    clearTimeout(this.#idle);
    const child = this.#started();
    // It keeps the server running only while a caller waits for it.
    child.ref();
    child.channel?.ref();
    const timer = setTimeout(() => child.kill('SIGKILL'), this.#maxMs);
    try {
      return await use(await this.#ask(child, content));
    } finally {
      clearTimeout(timer);
      child.unref();
      child.channel?.unref();
      this.#idle = setTimeout(() => this.close(), idleMs).unref();
    }
  }

  /** Starts the process ahead of its first picture. It ends when there comes none. */
  warm(): void {
    if (this.#child !== null) return;
    const child = this.#started();
    child.unref();
    child.channel?.unref();
    this.#idle = setTimeout(() => this.close(), idleMs).unref();
  }

  /** Ends the process; another picture starts a new one. */
  close(): void {
    clearTimeout(this.#idle);
    this.#child?.kill('SIGKILL');
    this.#child = null;
  }

  #started(): ChildProcess {
    return (this.#child ??= this.#start());
  }

  #start(): ChildProcess {
    const child = fork(program, {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: {},
    });
    const forget = () => {
      if (this.#child === child) this.#child = null;
    };
    child.once('exit', forget).once('error', forget);
    return child;
  }

  async #ask(child: ChildProcess, content: Buffer | string): Promise<Development> {
    let facts: PictureFacts | null = null;
    try {
      let found = await exchange(child, { content });
      if (found.kind === 'failed') return { kind: 'unknown' };
      if (found.kind === 'facts') {
        ({ facts } = found);
        found = await exchange(child, null);
      }
      if (found.kind !== 'pixels' || facts === null) {
        const isTooHeavy = found.kind === 'failed' && found.reason === 'too many pixels';
        return { kind: 'undecodable', facts, isTooHeavy };
      }
      const { pixels } = found;
      const { uprightBytes } = pixels;
      const upright = uprightBytes === null ? null : () => readUpright(child, uprightBytes);
      return { kind: 'decoded', facts, pixels, upright };
    } catch (error) {
      if (!(error instanceof PictureTooHeavy)) throw error;
      return { kind: 'undecodable', facts, isTooHeavy: true };
    }
  }
}

async function* readUpright(child: ChildProcess, size: number): AsyncGenerator<Buffer> {
  for (let left = size; left > 0;) {
    const part = await exchange(child, 'next');
    if (part.kind !== 'part' || part.bytes.length === 0) throw new PictureTooHeavy();
    left -= part.bytes.length;
    yield part.bytes;
  }
}

/** The next answer; PictureTooHeavy when there comes none any more. */
async function exchange(child: ChildProcess, message: object | string | null): Promise<PictureAnswer> {
  const gone = new AbortController();
  const exited = once(child, 'exit', { signal: gone.signal }).then(() => {
    throw new PictureTooHeavy('The picture is too large to be worked on.');
  });
  exited.catch(() => undefined);
  try {
    if (child.exitCode !== null || child.signalCode !== null) throw new PictureTooHeavy('The worker is gone.');
    const answered = once(child, 'message', { signal: gone.signal });
    answered.catch(() => undefined);
    if (message !== null) child.send(message, () => undefined);
    const [answer] = (await Promise.race([answered, exited])) as [PictureAnswer];
    return answer;
  } finally {
    gone.abort();
  }
}

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { PictureAnswer, PictureFacts, Pixels } from './picture-protocol.ts';

/** The time limit for one picture, including the time for using the result. */
const maxPictureMs = 20_000;
/**
 * How long a worker may be idle before its process is ended. The next picture then has to wait until another process
 * has started.
 */
const idleMs = 60_000;

const program = join(import.meta.dirname, 'picture-program.ts');

/**
 * The worker was killed because it took too long, or it exited on its own, for example because it used too much memory.
 */
export class PictureTooHeavy extends Error {}

/**
 * The result of a worker. `upright` yields the picture, rotated upright. The caller must read it before the next
 * picture is decoded.
 */
export type Development =
  | { kind: 'unknown' }
  | { kind: 'undecodable'; facts: PictureFacts | null; isTooHeavy: boolean }
  | { kind: 'decoded'; facts: PictureFacts; pixels: Pixels; upright: (() => AsyncGenerator<Buffer>) | null };

/**
 * A process that decodes pictures, one at a time. It starts when `warm` is called or when the first picture arrives,
 * and is killed when a picture exceeds the time limit. A decoder can therefore neither block nor crash the server.
 */
export class PictureWorker {
  #child: ChildProcess | null = null;
  #idle: NodeJS.Timeout | undefined;
  readonly #maxMs: number;

  /** `maxMs` is the time limit for one picture. */
  constructor(maxMs = maxPictureMs) {
    this.#maxMs = maxMs;
  }

  /** Decodes a picture and passes the result to `use`, all within the time limit for one picture. */
  async develop<Result>(content: Buffer | string, use: (found: Development) => Promise<Result>): Promise<Result> {
    clearTimeout(this.#idle);
    const child = this.#started();
    // The process keeps the server from exiting only while a caller is waiting for it.
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

  /** Starts the process before its first picture arrives. The process is ended if no picture arrives for a while. */
  warm(): void {
    if (this.#child !== null) return;
    const child = this.#started();
    child.unref();
    child.channel?.unref();
    this.#idle = setTimeout(() => this.close(), idleMs).unref();
  }

  /** Ends the process. The next picture starts a new one. */
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

/** Returns the next answer, or throws PictureTooHeavy when the process can no longer answer. */
async function exchange(child: ChildProcess, message: object | string | null): Promise<PictureAnswer> {
  const gone = new AbortController();
  const exited = once(child, 'exit', { signal: gone.signal }).then(() => {
    throw new PictureTooHeavy('The picture is too large to process.');
  });
  exited.catch(() => undefined);
  try {
    if (child.exitCode !== null || child.signalCode !== null) throw new PictureTooHeavy('The worker has exited.');
    const answered = once(child, 'message', { signal: gone.signal });
    answered.catch(() => undefined);
    if (message !== null) child.send(message, () => undefined);
    const [answer] = (await Promise.race([answered, exited])) as [PictureAnswer];
    return answer;
  } finally {
    gone.abort();
  }
}

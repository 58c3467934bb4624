import type { ChildProcess } from 'node:child_process';
import process from 'node:process';

/** The methods that a process serves to its parent. Arguments and results are plain data. */
export type Methods = Record<string, (input: never) => unknown>;

type Call = { id: number; name: string; input: unknown };
type Answer = { id: number; result?: unknown; error?: string };

/** Serves `methods` to the parent process, and exits when the parent does. */
export function serve(methods: Methods): void {
  process.on('message', ({ id, name, input }: Call) => {
    void answer(methods, { id, name, input }).then((answered) => process.send?.(answered));
  });
  process.on('disconnect', () => process.exit(0));
}

async function answer(methods: Methods, { id, name, input }: Call): Promise<Answer> {
  try {
    // The type of the caller is derived from these methods.
    const method = methods[name] as ((given: unknown) => unknown) | undefined;
    if (method === undefined) throw new Error(`there is no method ${name}`);
    return { id, result: await method(input) };
  } catch (error) {
    return { id, error: String(error) };
  }
}

/**
 * The parent's end of the connection, which calls the methods that a child serves. A call throws if the method throws
 * or the child ends.
 */
export class Remote<M extends Methods> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answered: Answer) => void>();
  #lastId = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (answered: Answer) => this.#settle(answered));
    child.on('exit', () => {
      for (const id of this.#waiting.keys()) this.#settle({ id, error: 'the process has ended' });
    });
  }

  async call<Name extends keyof M & string>(
    name: Name,
    ...[input]: Parameters<M[Name]>
  ): Promise<Awaited<ReturnType<M[Name]>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { result, error } = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, name, input } satisfies Call);
    });
    if (error !== undefined) throw new Error(`${name}: ${error}`);
    return result as Awaited<ReturnType<M[Name]>>;
  }

  #settle(answered: Answer): void {
    this.#waiting.get(answered.id)?.(answered);
    this.#waiting.delete(answered.id);
  }
}

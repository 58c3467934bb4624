import type { IncomingMessage } from 'node:http';
import type { Asker } from '../../core/asker.ts';
import type { WaitingOperation } from '../../live/reservation.ts';
import type { OpenStream } from './open-stream.ts';
import { startOperation, type OperationServices, type RunningOperation } from './operation.ts';
import { prepareParams, type GraphqlParams } from '../params.ts';
import { unseal } from './seal.ts';
import { OperationSink } from './stream-sink.ts';

export type SingleStreamOptions = {
  token: string;
  tokenHash: Buffer;
  stream: OpenStream;
  asker: Asker;
  /** The request that opened it. */
  from: IncomingMessage;
  server: OperationServices;
  /** Gives an operation's id back. Never rejects. */
  release: (operationId: string) => Promise<void>;
};

/** An open stream of single connection mode, on the node that holds it, and the operations that were given to it. */
export class SingleStream {
  readonly tokenHash: Buffer;
  readonly #options: SingleStreamOptions;
  /** Of each operation from when it is taken to its end; once it runs, its stream holds it too. */
  readonly #sinks = new Map<string, OperationSink>();
  #isMissed = false;

  constructor(options: SingleStreamOptions) {
    this.tokenHash = options.tokenHash;
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#options.stream.isOpen;
  }

  /** Runs an operation; others don't wait for it. */
  start(waiting: WaitingOperation): void {
    const { operationId } = waiting;
    // Taken back, and its id in use again, before this node had heard of the former.
    this.#sinks.get(operationId)?.silence();
    this.#stop(operationId);
    const sink = new OperationSink(this.#options.stream, operationId, () => this.#release(operationId, sink));
    this.#sinks.set(operationId, sink);
    void this.#run(waiting, sink);
  }

  /** Ends what was taken back: all but these; null when nobody knows of the stream any more. */
  keep(operationIds: ReadonlySet<string> | null): void {
    if (operationIds !== null) {
      this.#isMissed = false;
      for (const [operationId, sink] of this.#sinks) {
        if (operationIds.has(operationId)) continue;
        this.#stop(operationId);
        sink.finish(null);
      }
      return;
    }
    // It went with its session: of that the log tells each of its subscriptions. By the next look they have heard.
    if (this.#isMissed) this.#options.stream.interrupt();
    this.#isMissed = true;
  }

  #stop(operationId: string): void {
    const { operations } = this.#options.stream;
    this.#sinks.delete(operationId);
    operations.get(operationId)?.close();
    operations.delete(operationId);
  }

  /** An operation has come to its end; its id may be another's by now. */
  async #release(operationId: string, sink: OperationSink): Promise<void> {
    if (this.#sinks.get(operationId) !== sink) return;
    this.#stop(operationId);
    await this.#options.release(operationId);
  }

  async #run(waiting: WaitingOperation, sink: OperationSink): Promise<void> {
    const { stream, server } = this.#options;
    try {
      const operation = await this.#prepare(waiting, sink);
      if (sink.isOpen) stream.run(waiting.operationId, operation);
      else operation.close();
    } catch (error) {
      sink.finish(JSON.stringify({ errors: [server.mask(error)] }));
    }
  }

  #prepare(
    { params: sealed, userAgent, afterCursor }: WaitingOperation,
    sink: OperationSink,
  ): Promise<RunningOperation> {
    const { server, asker, token, from } = this.#options;
    // They were checked when they came in.
    const params = unseal(token, sealed) as GraphqlParams;
    const preparation = prepareParams(server.documents, params, { isKnown: true });
    const request = {
      params,
      preparation,
      asker: () => asker,
      userAgent,
      from,
      lastEventId: null,
      askedAt: afterCursor,
    };
    return startOperation(server, request, sink);
  }
}

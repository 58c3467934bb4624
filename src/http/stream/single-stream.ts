import type { IncomingMessage } from 'node:http';
import type { Asker } from '../../core/asker.ts';
import type { WaitingOperation } from '../../live/reservation.ts';
import type { OpenStream } from './open-stream.ts';
import { startOperation, type OperationServices, type RunningOperation } from './operation.ts';
import { prepareParams, type GraphqlParams } from '../params.ts';
import { unseal } from './seal.ts';
import { OperationSink } from './stream-sink.ts';

/** The options of a stream in graphql-sse’s single connection mode. */
export type SingleStreamOptions = {
  token: string;
  tokenHash: Buffer;
  stream: OpenStream;
  asker: Asker;
  /** The request that opened the stream. */
  from: IncomingMessage;
  server: OperationServices;
  /** Releases an operation's id. Never rejects. */
  release: (operationId: string) => Promise<void>;
};

/** An open stream in single connection mode and its operations, on the node that holds its connection. */
export class SingleStream {
  readonly tokenHash: Buffer;
  readonly #options: SingleStreamOptions;
  /**
   * The sink of each operation, from the call of `start` until the operation ends. While the operation runs, it is also
   * in `stream.operations`.
   */
  readonly #sinks = new Map<string, OperationSink>();
  #isMissed = false;

  constructor(options: SingleStreamOptions) {
    this.tokenHash = options.tokenHash;
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#options.stream.isOpen;
  }

  /** Runs an operation without delaying the others. */
  start(waiting: WaitingOperation): void {
    const { operationId } = waiting;
    // If there is an earlier operation with this id, it was cancelled and the id was reused before this node noticed.
    this.#sinks.get(operationId)?.silence();
    this.#stop(operationId);
    const sink = new OperationSink(this.#options.stream, operationId, () => this.#release(operationId, sink));
    this.#sinks.set(operationId, sink);
    void this.#run(waiting, sink);
  }

  /**
   * Ends all operations except the ones in `operationIds`, because all others were cancelled. `operationIds` is null if
   * the database no longer knows the stream.
   */
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
    // The reservation was deleted with its session. Each subscription learns from the log that the session has ended,
    // so all subscriptions have ended by the next check.
    if (this.#isMissed) this.#options.stream.interrupt();
    this.#isMissed = true;
  }

  #stop(operationId: string): void {
    const { operations } = this.#options.stream;
    this.#sinks.delete(operationId);
    operations.get(operationId)?.close();
    operations.delete(operationId);
  }

  /** Releases the id of an operation that has ended, unless another operation already uses it. */
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
    // The parameters were checked when the operation was added.
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

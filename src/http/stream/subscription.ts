import type { Caller } from '../../core/asker.ts';
import type { EventRequest } from '../../api/event-request.ts';
import type { Batch, Receiver, Rendering } from '../../live/delivery.ts';
import type { StreamNotice } from '../../live/notice.ts';
import type { SharedSubscription } from '../../live/shared-subscription.ts';
import { formatCursor } from '../../log/cursor.ts';
import type { EndReason } from '../../live/listener.ts';
import type { MissedChatStretch, MissedStretch, Range } from '../../log/missed-stretch.ts';
import type { Realtime } from '../../live/realtime.ts';
import { endPayloads } from './ending.ts';
import { PendingBatches } from './pending-batches.ts';
import { Pace } from './pace.ts';
import { Replay } from './replay.ts';
import { ResetNeeded, type ReplayLimits } from './replay-budget.ts';
import type { Sink } from './sink.ts';

/** The settings and dependencies of one subscription on a stream. */
export type SubscriptionOptions = {
  request: EventRequest;
  shared: SharedSubscription;
  sink: Sink;
  realtime: Realtime;
  replayLimits: ReplayLimits;
  /** This is set for a webhook. `firstRead`: how many events the first read of the log fetches. */
  webhook?: { firstRead: number };
};

const otherHistory = 'The cursor belongs to a different history of this database.';

type Missed = Replay<MissedStretch | MissedChatStretch>;
type State = 'CATCHING_UP' | 'LIVE' | 'OVER';

/**
 * One subscription, from its first frame to its last. The subscription first joins the hub and holds back the events
 * that arrive. It then replays the log from its cursor to the head at the time it joined, releases the held events
 * above that head, and is live. A subscriber that falls behind catches up from the log in the same way, at the pace at
 * which its socket drains.
 */
export class EventSubscription implements Receiver {
  readonly asker: Caller;
  readonly userId: bigint;
  readonly sessionId: bigint;
  readonly chatId: bigint | null;
  readonly outlet: SharedSubscription;
  readonly isWebhook: boolean;
  readonly serverKeyId: bigint | null;
  isPublicReader: boolean;
  readonly #options: SubscriptionOptions;
  #state: State = 'CATCHING_UP';
  /**
   * The last event that was sent, or that was skipped because it is not for this subscriber. The subscription resumes
   * from here.
   */
  #position = 0n;
  /** The position at which the subscription went live; events from the hub up to this position are old. */
  #floor = 0n;
  readonly #pace: Pace;
  readonly #held = new PendingBatches();

  constructor(options: SubscriptionOptions) {
    this.#options = options;
    const { asker, chatId, isPublic } = options.request;
    [this.userId, this.sessionId] =
      asker.userId === null ? [0n, asker.botSessionId ?? 0n] : [asker.userId, asker.sessionId];
    this.serverKeyId = asker.userId === null ? asker.keyId : null;
    [this.asker, this.chatId, this.isPublicReader] = [asker, chatId, isPublic];
    this.outlet = options.shared;
    this.isWebhook = options.webhook !== undefined;
    this.#pace = new Pace(options.webhook?.firstRead);
  }

  get isReceiving(): boolean {
    return this.#state === 'LIVE' || (this.#state === 'CATCHING_UP' && !this.#held.isOver);
  }

  get isLive(): boolean {
    return this.#state === 'LIVE';
  }

  /** Catches up until the subscription is live; after that, events are pushed. Never rejects. */
  async open(): Promise<void> {
    const { realtime, request } = this.#options;
    const { after } = request;
    try {
      const { head, isSessionLive } = await this.#repeat(() => realtime.hub.join(this));
      if (!isSessionLive) return this.#end('SESSION_ENDED');
      this.#position = after?.id ?? head;
      if (after !== null && (after.epoch !== realtime.epoch() || after.id > head)) {
        await this.#reset(otherHistory, head);
      }
      await this.#catchUp(head);
    } catch (error) {
      this.#fail(error);
    }
  }

  receive(batch: Batch): void {
    if (this.#state === 'OVER') return;
    if (this.#state === 'CATCHING_UP') {
      this.#held.add(batch);
      return;
    }
    if (this.#options.sink.isCongested) void this.#fallBehind();
    else this.#send(batch);
  }

  lag(): void {
    if (this.#state === 'CATCHING_UP') this.#held.giveUp();
    else if (this.#state === 'LIVE') void this.#fallBehind();
  }

  /**
   * Receives a transient notice, whose cursor is the subscriber's current cursor. A busy subscriber does not receive
   * the notice. If the subscriber must find out that it missed a notice, it returns to the log and receives CaughtUp
   * once its socket has drained.
   */
  receiveTransient(payloadAround: (cursor: string) => string, { isToldOfLoss }: { isToldOfLoss: boolean }): void {
    const { sink, realtime } = this.#options;
    if (this.#state !== 'LIVE') return;
    if (!sink.isReadyForTyping) {
      if (isToldOfLoss) void this.#fallBehind();
      return;
    }
    const cursor = formatCursor({ epoch: realtime.epoch(), id: this.#position });
    sink.send({
      renderings: [{ eventId: this.#position, cursor, payload: payloadAround(cursor) }],
      encodings: new Map(),
    });
  }

  finish(reason: EndReason, at: bigint): void {
    // Access was lost before this subscription went live, and has been regained since then.
    if (reason === 'ACCESS_LOST' && this.#state === 'LIVE' && at <= this.#floor) return;
    // Once all earlier events have been read, the log shows whether access is still lost.
    if (reason === 'ACCESS_LOST' && this.#state === 'CATCHING_UP') this.#held.giveUp();
    else this.#end(reason);
  }

  interrupt(): void {
    if (this.#state === 'OVER') return;
    this.close();
    this.#options.sink.interrupt();
  }

  /** Leaves the hub. The owner of the connection calls this when the client has disconnected. */
  close(): void {
    if (this.#state === 'OVER') return;
    this.#state = 'OVER';
    this.#held.giveUp();
    this.#options.realtime.hub.leave(this);
  }

  #send(batch: Batch): void {
    const { renderings } = batch;
    const first = renderings[0];
    const last = renderings.at(-1);
    if (first === undefined || last === undefined) return;
    if (batch.isNotice === true) {
      if (last.eventId >= this.#position) this.#sendWhole(batch, last);
    } else if (first.eventId > this.#position) this.#sendWhole(batch, last);
    else {
      const fresh = renderings.filter(({ eventId }) => eventId > this.#position);
      if (fresh.length > 0) this.#sendWhole({ renderings: fresh, encodings: new Map() }, last);
    }
  }

  #sendWhole(batch: Batch, last: Rendering): void {
    this.#options.sink.send(batch);
    this.#position = last.eventId;
  }

  /**
   * Returns to reading the log, at the pace at which the socket drains, because too many bytes are unsent or something
   * was missed.
   */
  async #fallBehind(): Promise<void> {
    const { sink, realtime } = this.#options;
    this.#state = 'CATCHING_UP';
    this.#held.giveUp();
    try {
      await sink.drained();
      this.#held.restart();
      const { head } = await this.#repeat(() => realtime.readExtent());
      await this.#catchUp(head);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Reads the log up to `through`, and again up to the new head each time too much has arrived in the meantime, then
   * goes live.
   */
  async #catchUp(through: bigint): Promise<void> {
    const missed = this.#openReplay();
    let head = through;
    for (;;) {
      // Until this node has reached `head`, it may still cache renderings from before a message was edited or deleted.
      await this.#options.realtime.whenAt(head);
      await this.#replay(missed, head);
      // Until this node has reached `head`, it does not know whether the log has more events, or whether the next event
      // will reach this stream.
      await this.#options.realtime.whenAt(head);
      const notice = await this.#renderNotice({ kind: 'CaughtUp', replayed: missed.events }, head);
      if (this.#state === 'OVER') return;
      if (!this.#held.isOver) {
        this.#goLive(notice, head);
        return;
      }
      this.#held.restart();
      head = (await this.#repeat(() => this.#options.realtime.readExtent())).head;
    }
  }

  #goLive(notice: Batch, head: bigint): void {
    this.#position = head;
    this.#floor = head;
    this.#state = 'LIVE';
    this.#options.sink.send(notice);
    for (const batch of this.#held.take()) this.receive(batch);
  }

  #openReplay(): Missed {
    const { shared, sink, realtime, replayLimits } = this.#options;
    return new Replay({
      asker: this.asker,
      shared,
      sink,
      pace: this.#pace,
      limits: replayLimits,
      readStretch: (range) => this.#readStretch(range),
      findEvents: (segments, reader) => this.#repeat(() => realtime.findEvents(segments, reader)),
      isOver: () => this.#state === 'OVER',
    });
  }

  async #replay(missed: Missed, through: bigint): Promise<void> {
    const reset = (reason: string) => {
      missed.restart();
      return this.#reset(reason, through);
    };
    // Access to a single chat may have been lost between the subscription's access check and the moment it joined the
    // hub, so the log is read at least once.
    let isChecked = this.chatId === null;
    while (this.#state !== 'OVER' && (this.#position < through || !isChecked)) {
      const { stretch, range } = await missed.read(this.#position, through);
      if (!this.#judge(stretch)) return;
      isChecked = true;
      if (!stretch.isKnown) {
        await reset(otherHistory);
        return;
      }
      if (stretch.prunedThrough > this.#position) {
        await reset('The events since that cursor are no longer kept.');
        return;
      }
      try {
        this.#position = await missed.send(stretch, range);
      } catch (error) {
        if (!(error instanceof ResetNeeded)) throw error;
        await reset(error.message);
        return;
      }
      await this.#options.sink.drained();
    }
  }

  /** Reads the events that this subscriber missed, and whether the subscriber may still see them. */
  #readStretch(range: Range): Promise<MissedStretch | MissedChatStretch> {
    const { realtime } = this.#options;
    return this.#repeat(() =>
      this.chatId === null ? realtime.readMissed(this, range) : realtime.readMissedInChat(this, this.chatId, range),
    );
  }

  /**
   * Ends the subscription if the session has ended or the chat is no longer visible. Returns whether the subscription
   * continues.
   */
  #judge(stretch: MissedStretch | MissedChatStretch): boolean {
    if (!stretch.isSessionLive) this.#end('SESSION_ENDED');
    else if ('hasAccess' in stretch && !stretch.hasAccess) this.#end('ACCESS_LOST');
    if ('isPublic' in stretch && stretch.isPublic !== this.isPublicReader) {
      // Until now, the hub has treated this subscriber as the wrong kind of reader and may have sent it too many or too
      // few events. Reading those events from the log corrects that. The read also checks access once more, because the
      // hub may have ignored a removal in the meantime.
      this.isPublicReader = stretch.isPublic;
      this.#held.giveUp();
    }
    return this.#state !== 'OVER';
  }

  async #reset(reason: string, head: bigint): Promise<void> {
    const notice = await this.#renderNotice({ kind: 'Reset', reason }, head);
    if (this.#state === 'OVER') return;
    this.#options.sink.send(notice);
    this.#position = head;
  }

  async #renderNotice(notice: StreamNotice, id: bigint): Promise<Batch> {
    const rendering = await this.#repeat(() => this.#options.shared.renderNotice(notice, id, this.asker));
    return { renderings: [rendering], encodings: new Map() };
  }

  #end(reason: EndReason): void {
    if (this.#state === 'OVER') return;
    this.close();
    this.#options.sink.finish(endPayloads[reason]);
  }

  #fail(error: unknown): void {
    if (this.#state === 'OVER') return;
    this.#options.realtime.report('error', 'a subscription failed', { error });
    this.interrupt();
  }

  /** Retries the work for as long as the database is unavailable and the client is connected. */
  #repeat<Value>(work: () => Promise<Value>): Promise<Value> {
    return this.#options.realtime.retry(work, () => this.#state !== 'OVER');
  }
}

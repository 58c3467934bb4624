import { Component, createRef, type ReactNode } from 'react';
import type { Item } from 'parley-client/react';

/** The maximum number of rows on the page, no matter how many messages are loaded. */
const maxRows = 160;
/** The number of rows at the end of a chat, and the number of rows that are added or removed at a time. */
const endRows = 70;
const stepRows = 20;
/** More rows are added when the remaining distance to scroll is less than this. */
const edgePx = 700;
/** If the user is within this distance of the end, the newest messages stay visible when more arrive. */
const endPx = 48;

type Props = {
  items: readonly Item[];
  hasOlder: boolean;
  hasNewer: boolean;
  /** Whether the last page could not be loaded. The next attempt then waits until the user scrolls again. */
  hasFailed: boolean;
  loadOlder: () => void;
  loadNewer: () => void;
  /** The message to scroll to the middle. A new object repeats the request. */
  target: { readonly seq: number } | null;
  /** Called with whether the newest messages are visible. */
  onEnd: (isAtEnd: boolean) => void;
  /** The row that the Tab key leads to. If there is no such row, the Tab key leads to the last row. */
  stop: string | null;
  renderRow: (item: Item, before: Item | undefined, isTabStop: boolean) => ReactNode;
  /** Shown above the first message. */
  beginning: ReactNode;
};

/** The seq of the first row to render, or null to render the newest rows. */
type State = { from: number | null };
type Anchor = { key: string; top: number };

/**
 * Shows a long list of messages but renders only the rows around the visible part. When rows are added or removed above
 * the visible part, that part does not move, because one of the remaining rows is kept at its position. The list does
 * not need to know the heights of rows, so it never jumps to correct an estimate.
 */
export class MessageScroller extends Component<Props, State> {
  override state: State = { from: null };
  readonly #scroller = createRef<HTMLDivElement>();
  readonly #list = createRef<HTMLOListElement>();
  #isAtEnd = true;
  #sought: Props['target'] = null;
  #frame: number | null = null;
  #observer: ResizeObserver | null = null;

  override componentDidMount(): void {
    this.#observer = new ResizeObserver(() => this.#isAtEnd && this.#toEnd());
    for (const { current } of [this.#scroller, this.#list]) if (current) this.#observer.observe(current);
    this.#seek();
    if (this.#isAtEnd) this.#toEnd();
    this.#extend();
  }

  override componentWillUnmount(): void {
    this.#observer?.disconnect();
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#frame = null;
  }

  override getSnapshotBeforeUpdate(): Anchor | null {
    const { current } = this.#scroller;
    if (current === null || this.#isAtEnd) return null;
    const top = current.getBoundingClientRect().top;
    for (const row of this.#rows()) {
      const box = row.getBoundingClientRect();
      if (box.bottom > top) return { key: row.dataset['key'] ?? '', top: box.top };
    }
    return null;
  }

  override componentDidUpdate(_: Props, __: State, anchor: Anchor | null): void {
    const { current } = this.#scroller;
    if (current === null) return;
    if (this.#seek()) return;
    const row = anchor && this.#rows().find(({ dataset }) => dataset['key'] === anchor.key);
    if (row && anchor) current.scrollTop += row.getBoundingClientRect().top - anchor.top;
    else if (this.#isAtEnd) this.#toEnd();
    this.#extendSoon();
  }

  /** Extends the list in a separate task, so that no task is long. */
  #extendSoon(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.#extend();
    });
  }

  /** Scrolls to the newest messages, and stays at the end as more arrive. */
  toEnd(): void {
    this.#setEnd(true);
    this.setState({ from: null }, () => this.#toEnd());
  }

  #toEnd(): void {
    const { current } = this.#scroller;
    if (current === null) return;
    if (this.state.from !== null && this.#span().end < this.props.items.length) this.setState({ from: null });
    current.scrollTop = current.scrollHeight;
  }

  /** Returns the range of items that are rendered as rows. */
  #span(): { start: number; end: number } {
    const { items } = this.props;
    const [first] = items;
    const { from } = this.state;
    if (from === null || first?.message == null)
      return { start: Math.max(0, items.length - endRows), end: items.length };
    // Messages have consecutive seqs. Pending messages have no seq and come last.
    const start = Math.min(Math.max(0, from - first.message.seq), Math.max(0, items.length - endRows));
    return { start, end: Math.min(items.length, start + maxRows) };
  }

  #rows(): HTMLElement[] {
    return [...(this.#list.current?.querySelectorAll<HTMLElement>(':scope > [data-key]') ?? [])];
  }

  /** Scrolls to the target once it is loaded. Returns whether it has moved the list. */
  #seek(): boolean {
    const { target, items } = this.props;
    if (target === null || target === this.#sought) return false;
    const [first] = items;
    const index = first?.message == null ? -1 : target.seq - first.message.seq;
    const key = items[index]?.key;
    if (key === undefined || items[index]?.message == null) return false;
    const row = this.#rows().find(({ dataset }) => dataset['key'] === key);
    if (row === undefined) {
      this.#setEnd(false);
      this.setState({ from: target.seq - Math.floor(maxRows / 2) });
      return true;
    }
    this.#sought = target;
    row.scrollIntoView({ block: 'center' });
    this.#noteEnd();
    return true;
  }

  readonly #onScroll = (): void => {
    this.#noteEnd();
    this.#extend(true);
  };

  #noteEnd(): void {
    const { current } = this.#scroller;
    if (current === null) return;
    const left = current.scrollHeight - current.scrollTop - current.clientHeight;
    const { items, hasNewer } = this.props;
    this.#setEnd(left < endPx && !hasNewer && this.#span().end === items.length);
  }

  #setEnd(isAtEnd: boolean): void {
    if (isAtEnd === this.#isAtEnd) return;
    this.#isAtEnd = isAtEnd;
    this.props.onEnd(isAtEnd);
  }

  /**
   * Adds rows in a direction in which few rows are left to scroll to, or loads more messages if all loaded messages are
   * already rendered.
   */
  #extend(isScrolling = false): void {
    const { current } = this.#scroller;
    const { items, hasOlder, hasNewer, loadOlder, loadNewer } = this.props;
    const first = items[0]?.message?.seq;
    if (current === null || first === undefined) return;
    const canLoad = isScrolling || !this.props.hasFailed;
    const { start, end } = this.#span();
    const below = current.scrollHeight - current.scrollTop - current.clientHeight;
    if (current.scrollTop < edgePx) {
      if (start > 0) this.setState({ from: first + Math.max(0, start - stepRows) });
      else if (hasOlder && canLoad) loadOlder();
    } else if (below < edgePx) {
      if (end < items.length) this.setState({ from: first + start + stepRows });
      else if (hasNewer && canLoad) loadNewer();
    }
  }

  override render(): ReactNode {
    const { items, stop, renderRow, beginning, hasOlder } = this.props;
    const { start, end } = this.#span();
    const shown = items.slice(start, end);
    const tabStop = shown.some(({ key }) => key === stop) ? stop : shown.at(-1)?.key;
    return (
      <div className="scroller" ref={this.#scroller} onScroll={this.#onScroll}>
        {start === 0 && !hasOlder && beginning}
        <ol ref={this.#list} className="messages" aria-label="Messages">
          {shown.map((item, index) => renderRow(item, items[start + index - 1], item.key === tabStop))}
        </ol>
      </div>
    );
  }
}

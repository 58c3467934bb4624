/** How many refused lines and how many notes a report describes; the report counts all of them. */
const maxDescribed = 1_000;
/** The maximum number of chats with refused lines that the builder remembers. */
const maxFaulty = 10_000;

/**
 * A remark on a line, whose number is counted from 1. `path`: the part of the line that the remark concerns, e.g.
 * `message.sender`.
 */
export type Remark = { line: number; path: string; message: string };

/** How many lines of one kind created something, and how many described something that already existed. */
export type Count = { created: number; skipped: number };

/** The results of an import. */
export type ImportReport = {
  lines: number;
  users: Count;
  chats: Count;
  members: Count;
  messages: Count;
  /** The number of chats whose import has ended, so that their members now see them. */
  ended: number;
  /** Chats that were deleted before their import ended. */
  discarded: number;
  /** How many lines were refused; `errors` describes the first 1,000 of them. */
  refused: number;
  errors: Remark[];
  /** Remarks on lines that were not imported exactly as sent, such as a user whose username was taken. */
  notes: Remark[];
};

/** The counter that a line increments. */
export type Outcome = 'created' | 'skipped';

/** Builds the report, using an amount of memory that does not grow with the import. */
export class ReportBuilder {
  readonly report: ImportReport = {
    lines: 0,
    users: { created: 0, skipped: 0 },
    chats: { created: 0, skipped: 0 },
    members: { created: 0, skipped: 0 },
    messages: { created: 0, skipped: 0 },
    ended: 0,
    discarded: 0,
    refused: 0,
    errors: [],
    notes: [],
  };
  /** The chats with refused lines. */
  readonly #faulty = new Set<string>();

  refuse(remark: Remark, chat: string | null): void {
    this.report.refused += 1;
    if (this.report.errors.length < maxDescribed) this.report.errors.push(remark);
    if (chat !== null && this.#faulty.size < maxFaulty) this.#faulty.add(chat);
  }

  note(remark: Remark): void {
    if (this.report.notes.length < maxDescribed) this.report.notes.push(remark);
  }

  /** Returns the report, with its remarks in the order of the lines. */
  finish(): ImportReport {
    this.report.errors.sort((one, other) => one.line - other.line);
    return this.report;
  }

  /** Whether a line of this chat was refused. Returns true for every chat once there are too many chats to remember. */
  isFaulty(chat: string): boolean {
    return this.#faulty.size >= maxFaulty || this.#faulty.has(chat);
  }
}

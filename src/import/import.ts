import type { Program } from '../core/asker.ts';
import type { Db } from '../postgres/client.ts';
import { refused, writeBatch, type Result, type Writer } from './batch.ts';
import { discardChats, endChats, importChats, importMembers } from './chat-import.ts';
import { chatKeyOf, parseLine, type ImportLine, type Kind, type ParsedLine } from './import-line.ts';
import { ReportBuilder, type Count, type ImportReport } from './import-report.ts';
import { readLines, type Line } from './line-reader.ts';
import { importMessages } from './message-import.ts';
import { importUsers } from './user-import.ts';

/** How many lines, and about how many bytes, one transaction may write. */
const maxBatchLines = 1_000;
const maxBatchBytes = 1024 * 1024;

const writers: { [Each in Kind]: Writer<Each> } = {
  user: importUsers,
  chat: importChats,
  member: importMembers,
  message: importMessages,
  end: endChats,
  discard: discardChats,
};

/**
 * Imports JSON lines (docs/import.md) as they arrive. Refuses lines that are not JSON, break a rule or name something
 * unknown, and imports the other lines. If the body is cut off, the lines that have been written stay. Sending the same
 * lines again changes nothing. `identify` returns the program, and throws if the program is not, or no longer, allowed
 * to import. An import may take hours, and ends once its API key is no longer valid.
 */
export async function importLines(
  db: Db,
  identify: () => Promise<Program>,
  body: AsyncIterable<Buffer>,
): Promise<ImportReport> {
  const builder = new ReportBuilder();
  let batch = new Batch();
  // One batch is written while the next one is being read, which keeps both the server and the database busy.
  let writing = Promise.resolve();
  const write = async (full: Batch) => {
    await writing;
    writing = full.write(db, await identify(), builder);
    // The promise is awaited later; until then, Node must not treat a failure as an unhandled rejection.
    writing.catch(() => undefined);
  };
  try {
    for await (const line of readLines(body)) {
      builder.report.lines += 1;
      const parsed = parse(line);
      if (!batch.takes(parsed)) {
        await write(batch);
        batch = new Batch();
      }
      batch.add(line, parsed);
    }
    await write(batch);
  } finally {
    await writing;
  }
  return builder.finish();
}

function parse({ text, problem }: Line): ParsedLine {
  if (text !== null) return parseLine(text);
  return { kind: null, errors: [{ path: [], code: 'MALFORMED', message: problem }], chat: null };
}

type Entry = { number: number; line: ImportLine };

/** Consecutive lines of one kind, together with any refused lines between them. */
class Batch {
  readonly #lines: { number: number; parsed: ParsedLine }[] = [];
  #kind: Kind | null = null;
  #bytes = 0;

  takes({ kind }: ParsedLine): boolean {
    const fits = this.#lines.length < maxBatchLines && this.#bytes < maxBatchBytes;
    return fits && (kind === null || this.#kind === null || kind === this.#kind);
  }

  add({ number, text }: Line, parsed: ParsedLine): void {
    this.#lines.push({ number, parsed });
    this.#kind ??= parsed.kind;
    this.#bytes += text?.length ?? 0;
  }

  async write(db: Db, program: Program, builder: ReportBuilder): Promise<void> {
    const entries = this.#lines.flatMap(({ number, parsed }) => accept(builder, number, parsed));
    if (this.#kind === null || entries.length === 0) return;
    // The casts are safe because all lines of a batch are of the same kind.
    const results = await writeBatch(db, program, {
      lines: entries.map(({ number, line }) => ({ number, said: line.said })),
      write: writers[this.#kind] as Writer<Kind>,
    });
    for (const [index, entry] of entries.entries()) {
      record(builder, entry, results[index] ?? refused([], 'was not written'));
    }
  }
}

/**
 * Returns the line, unless it was refused or it ends the import of a chat with refused lines, because those lines could
 * not be sent again afterwards.
 */
function accept(builder: ReportBuilder, number: number, parsed: ParsedLine): Entry[] {
  if (parsed.kind === null) {
    const [error] = parsed.errors;
    builder.refuse({ line: number, path: error?.path.join('.') ?? '', message: error?.message ?? '' }, parsed.chat);
    return [];
  }
  if (parsed.kind !== 'end' || parsed.said.force || !builder.isFaulty(parsed.said.chat)) {
    return [{ number, line: parsed }];
  }
  const message = 'lines of this chat were refused: correct them, or end it with "force": true';
  builder.refuse({ line: number, path: 'end.chat', message }, parsed.said.chat);
  return [];
}

function record(builder: ReportBuilder, { number, line }: Entry, result: Result): void {
  if (result.outcome === 'refused') {
    const { path, message } = result.error;
    builder.refuse({ line: number, path: path.join('.'), message }, chatKeyOf(line));
    return;
  }
  const count = countOf(builder.report, line.kind);
  if (count !== null) count[result.outcome] += 1;
  else if (result.outcome === 'created') builder.report[line.kind === 'end' ? 'ended' : 'discarded'] += 1;
  if (result.note !== undefined) {
    builder.note({ line: number, path: result.note.path.join('.'), message: result.note.message });
  }
}

function countOf(report: ImportReport, kind: Kind): Count | null {
  switch (kind) {
    case 'user':
      return report.users;
    case 'chat':
      return report.chats;
    case 'member':
      return report.members;
    case 'message':
      return report.messages;
    case 'end':
    case 'discard':
      return null;
    default:
      return kind satisfies never;
  }
}

/**
 * Matches a line that begins or ends a code block, which may be in a list. The line contains backticks or tildes, which
 * the closing line must repeat.
 */
const fence = /^ *(?:(?:[-*+]|\d{1,9}[.)]) +)?(`{3,}|~{3,})(.*)$/;
const quoted = /^ {0,3}>/;
/**
 * Matches a web address, with or without its scheme. The characters of an address are ASCII, so that the address ends
 * where a CJK sentence continues.
 */
const address =
  /(?:\b[a-z][a-z0-9+.-]{0,30}:\/\/|\bwww\.)[!-;=?-~]*|(?<!@)\b(?:[a-z0-9-]{1,63}\.){1,10}[a-z]{2,63}(?::\d{1,5})?(?:[/#]|\?\w)[!-;=?-~]*/gi;
/** In a Markdown link, the address ends at the closing parenthesis. */
const linkTarget = /(?<=\]\()[^\s()]*(?=\))/g;

/**
 * Returns what the author of a message says in their own words: the text with Markdown code, quotes and addresses
 * replaced by blanks. Takes time linear in the length of the text.
 */
export function readProse(content: string): string {
  const lines = content.split('\n');
  const blocks: string[] = [];
  let block: string[] = [];
  const endBlock = () => {
    if (block.length > 0) blocks.push(dropCodeSpans(block.join('\n')));
    block = [];
  };
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const opening = readFence(line);
    if (opening !== null) {
      endBlock();
      index = endOfFence(lines, index + 1, opening);
    } else if (quoted.test(line) || line.trim() === '') endBlock();
    else block.push(line);
  }
  endBlock();
  return blocks.map((text) => text.replace(linkTarget, ' ').replace(address, ' ')).join('\n');
}

function readFence(line: string): string | null {
  const [, marks = '', info = ''] = fence.exec(line) ?? [];
  // A line such as ```code``` is a code span.
  return marks === '' || (marks.startsWith('`') && info.includes('`')) ? null : marks;
}

/** Returns the index of the line that closes the block, or the number of lines if no line closes it. */
function endOfFence(lines: readonly string[], from: number, opening: string): number {
  for (let index = from; index < lines.length; index += 1) {
    const [, marks = '', rest = ''] = fence.exec(lines[index] ?? '') ?? [];
    if (marks.startsWith(opening) && rest.trim() === '') return index;
  }
  return lines.length;
}

/** Removes the code between two equally long runs of backticks. A run of backticks without a matching run is text. */
function dropCodeSpans(text: string): string {
  if (!text.includes('`')) return text;
  const runs = [...text.matchAll(/`+/g)].map(({ 0: marks, index }) => ({ index, length: marks.length }));
  const next = nextOfSameLength(runs);
  const parts: string[] = [];
  let from = 0;
  for (let n = 0; n < runs.length; n += 1) {
    const closing = next[n];
    const [open, close] = [runs[n], closing === undefined ? undefined : runs[closing]];
    if (open === undefined || close === undefined || closing === undefined || isEscaped(text, open.index)) continue;
    parts.push(text.slice(from, open.index));
    from = close.index + close.length;
    n = closing;
  }
  return [...parts, text.slice(from)].join(' ');
}

/** Whether the character at `index` is preceded by a single backslash, which makes it plain text. */
function isEscaped(text: string, index: number): boolean {
  return text[index - 1] === '\\' && text[index - 2] !== '\\';
}

function nextOfSameLength(runs: readonly { length: number }[]): (number | undefined)[] {
  const last = new Map<number, number>();
  const next: (number | undefined)[] = [];
  for (let n = runs.length - 1; n >= 0; n -= 1) {
    const length = runs[n]?.length ?? 0;
    next[n] = last.get(length);
    last.set(length, n);
  }
  return next;
}

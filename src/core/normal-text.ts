/**
 * Text in the form that words are looked for in: NFKC, without characters that display nothing, with ASCII digits. `at`
 * holds the position in the original of each UTF-16 unit and of the end; null if the positions are the same.
 */
export type NormalText = { text: string; at: Int32Array | null };

/** Longer runs of marks are cut, because ordering them takes quadratic time. No language comes near. */
const tooManyMarks = /(\p{M}{16})\p{M}+/gu;

/** What NFKC may combine: a run of Hangul in any of its forms, or one character with its marks. */
const unit =
  /[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc]+|\P{M}[\p{M}\uff9e\uff9f\u0640]*|\p{M}+/gu;

/** They display nothing, but separate words. U+2120 and U+2122 (℠ and ™) would become letters. */
const blank = /[\u115f\u1160\u200b\u2120\u2122\u2800\u3164\uffa0]/g;

/** They display nothing and separate nothing, such as soft hyphens, joiners and variation selectors. */
const invisible = /\p{Default_Ignorable_Code_Point}|\p{Emoji_Modifier}|\u0640/gu;

const ascii = /^[\x00-\x7f]*$/;
const otherDigit = /(?![0-9])\p{Nd}/gu;

/** Normalizes a text in time linear in its length. */
export function normalizeText(text: string): string {
  return ascii.test(text) ? text : normalizePart(text);
}

/** The same, with the positions in the original, at a higher cost. */
export function normalizeWithPositions(text: string): NormalText {
  if (ascii.test(text)) return { text, at: null };
  const parts: string[] = [];
  const at: number[] = [];
  // Most words are in their normal form already. Each of the others is normalized character by character.
  for (const { 0: word, index: wordAt } of text.matchAll(/[ \n]+|[^ \n]+/g)) {
    const isNormal = normalizeText(word) === word;
    for (const { 0: original, index } of isNormal ? [{ 0: word, index: 0 }] : word.matchAll(unit)) {
      const part = isNormal ? original : normalizeText(original);
      parts.push(part);
      for (let n = 0; n < part.length; n += 1) at.push(wordAt + index + (isNormal ? n : 0));
    }
  }
  at.push(text.length);
  return { text: parts.join(''), at: Int32Array.from(at) };
}

function normalizePart(text: string): string {
  return (
    text
      .replace(tooManyMarks, '$1')
      .replace(blank, ' ')
      .replaceAll('\u00b4', "'")
      // A ligature of 18 letters: 10,000 of them would become a text of 180,000. This is what people write for it.
      .replaceAll('\ufdfa', 'صلعم')
      .normalize('NFKC')
      .replace(invisible, '')
      .replace(otherDigit, asciiDigit)
  );
}

const digits = new Map<string, string>();

/** The digits 0 to 9 of each script are next to each other; there are a few hundred in total. */
function asciiDigit(digit: string): string {
  const known = digits.get(digit);
  if (known !== undefined) return known;
  const code = digit.codePointAt(0) ?? 0;
  let first = code;
  while (/^\p{Nd}$/u.test(String.fromCodePoint(first - 1))) first -= 1;
  const value = String((code - first) % 10);
  digits.set(digit, value);
  return value;
}

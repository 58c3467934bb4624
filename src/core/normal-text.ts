/**
 * Text in the form in which the server searches for words: normalized to NFKC, without invisible characters, and with
 * ASCII digits. `placeOf` maps a position in this text (the end of the text is allowed) to the corresponding position
 * in the original; both positions are in UTF-16 units.
 */
export type NormalText = { text: string; placeOf: (position: number) => number };

/**
 * Runs of more than 16 combining marks are cut, because ordering them takes quadratic time. No language needs nearly
 * that many.
 */
const tooManyMarks = /(\p{M}{16})\p{M}+/gu;

/** A sequence that NFKC may combine: a run of Hangul in any of its forms, or one character with its marks. */
const unit =
  /[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc]+|\P{M}[\p{M}\uff9e\uff9f\u0640]*|\p{M}+/gu;

/** A part of a text that can be normalized independently of the rest. */
const units = new RegExp(`(?:${unit.source}){1,64}`, 'gu');

/**
 * Invisible characters that separate words, and U+2116, U+2120 and U+2122 (№, ℠ and ™), which NFKC would turn into
 * letters.
 */
const blank = /[\u115f\u1160\u200b\u2116\u2120\u2122\u2800\u3164\uffa0]/g;

/** Fractions such as ½, which would merge with the digits before them into one number. */
const fraction = /[\u00bc-\u00be\u2150-\u215f\u2189]/g;

/** Letters that serve as apostrophes: in Ukrainian обʼєкт, in Hawaiʻi, and in transcriptions such as Qurʾan. */
const apostrophe = /[\u02b9\u02bb-\u02bf\ua78b\ua78c]/g;

/** Emoji that NFKC would turn into letters or punctuation: ‼ ⁉ ℹ Ⓜ. */
const keptEmoji = /[\u203c\u2049\u2139\u24c2]/;
const otherThanKept = /[^\u203c\u2049\u2139\u24c2]+/g;

/**
 * Characters that neither display anything nor separate words, such as soft hyphens, joiners and variation selectors,
 * and also skin tones and the Arabic tatweel.
 */
const invisible = /\p{Default_Ignorable_Code_Point}|\p{Emoji_Modifier}|\u0640/gu;

const ascii = /^[\x00-\x7f]*$/;
const otherDigit = /(?![0-9])\p{Nd}/gu;

/** Normalizes a text in time linear in its length. */
export function normalizeText(text: string): string {
  return ascii.test(text) ? text : normalizePart(text);
}

/** A section of a text, with the positions at which it begins in the original and in the normalized text. */
type Stretch = { original: string; text: string; place: number; position: number; places?: readonly number[] };

/** Normalizes a text and also maps positions back to the original, which costs more than `normalizeText`. */
export function normalizeWithPlaces(text: string): NormalText {
  if (ascii.test(text)) return { text, placeOf: (position) => position };
  const stretches: Stretch[] = [];
  let position = 0;
  for (const { 0: original, index: place } of text.matchAll(units)) {
    const normalized = normalizeText(original);
    stretches.push({ original, text: normalized, place, position });
    position += normalized.length;
  }
  const end = position;
  return {
    text: stretches.map((each) => each.text).join(''),
    placeOf: (at) => (at >= end ? text.length : placeIn(stretches[indexOf(stretches, at)], at)),
  };
}

/** Returns the index of the stretch that contains this position. */
function indexOf(stretches: readonly Stretch[], position: number): number {
  let [low, high] = [0, stretches.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((stretches[middle]?.position ?? 0) <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

function placeIn(stretch: Stretch | undefined, position: number): number {
  if (stretch === undefined) return 0;
  const { original, text, place } = stretch;
  if (original === text) return place + position - stretch.position;
  // Normalizing character by character is slow, so this runs only for the stretches in which a position is looked up.
  stretch.places ??= listPlaces(original);
  return place + (stretch.places[position - stretch.position] ?? 0);
}

function listPlaces(original: string): number[] {
  const places: number[] = [];
  for (const { 0: character, index } of original.matchAll(unit)) {
    const { length } = normalizeText(character);
    for (let n = 0; n < length; n += 1) places.push(index);
  }
  return places;
}

function normalizePart(text: string): string {
  const prepared = text
    .replace(tooManyMarks, '$1')
    .replace(blank, ' ')
    .replace(fraction, ' $&')
    .replaceAll('\u00b4', "'")
    // U+FDFA is a ligature that NFKC expands to 18 letters, so 10,000 of them would become 180,000 characters. It is
    // replaced with the word that people type instead.
    .replaceAll('\ufdfa', 'صلعم');
  const normal = keptEmoji.test(prepared)
    ? prepared.replace(otherThanKept, (part) => part.normalize('NFKC'))
    : prepared.normalize('NFKC');
  return normal.replace(apostrophe, "'").replace(invisible, '').replace(otherDigit, asciiDigit);
}

const digits = new Map<string, string>();

/**
 * Converts a decimal digit of any script to ASCII. The digits 0 to 9 of each script are consecutive code points, and
 * there are only a few hundred digits in total.
 */
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

const ascii = /^[\x00-\x7f]*$/;

/**
 * Letters with a stroke and similar letters, which no normalization decomposes, and letters that have two spellings.
 */
const plainLetters: Readonly<Record<string, string>> = {
  ...{ æ: 'ae', œ: 'oe', ø: 'o', đ: 'd', ð: 'd', þ: 'th', ħ: 'h', ı: 'i', ł: 'l', ŋ: 'n', ŧ: 't', ƒ: 'f', ĸ: 'k' },
  ...{ ƀ: 'b', ɓ: 'b', ȼ: 'c', ƈ: 'c', ɖ: 'd', ɗ: 'd', ɇ: 'e', ǥ: 'g', ɠ: 'g', ɨ: 'i', ɉ: 'j', ƙ: 'k', ƚ: 'l', ɫ: 'l' },
  ...{ ⱥ: 'a', ɲ: 'n', ƥ: 'p', ᵽ: 'p', ɍ: 'r', ƭ: 't', ⱦ: 't', ʉ: 'u', ƴ: 'y', ɏ: 'y', ƶ: 'z', ς: 'σ' },
  // Arabic, Persian and Urdu: letters that other keyboards encode differently, or that are often typed for one another.
  ...{ ی: 'ي', ى: 'ي', ک: 'ك', ة: 'ه', ٱ: 'ا', ہ: 'ه', ۃ: 'ه', ە: 'ه' },
};
const specialLetter = new RegExp(`[${Object.keys(plainLetters).join('')}]`, 'gu');

/**
 * Marks that are accents or vowel points. In other scripts, a mark turns a letter into another letter (voiced kana, the
 * Russian й) or adds a different vowel (Indic and Thai signs).
 */
const accent = new RegExp(
  [
    String.raw`(?<=[\p{sc=Latin}\p{sc=Greek}\p{sc=Arabic}\p{sc=Hebrew}])\p{M}+`,
    // The Russian ё, and the stress marks of dictionaries.
    String.raw`(?<=[\u0430\u0435\u0438\u043e\u0443\u044b\u044d\u044e\u044f])[\u0300\u0301]+`,
    String.raw`(?<=\u0435)\u0308`,
    // The Devanagari nukta, which most people leave out.
    String.raw`\u093c`,
  ].join('|'),
  'gu',
);

/** Folds the case of a text with Unicode's full case folding, except that a dotless i becomes an i. */
export function foldCase(text: string): string {
  if (ascii.test(text)) return text.toLowerCase();
  // A capital ẞ becomes ss only by way of its lowercase form.
  return text.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ');
}

/**
 * Folds the case of a normalized text, and drops the accents that people tend to leave out. Folding the result again
 * does not change it.
 */
export function foldWord(text: string): string {
  if (ascii.test(text)) return text.toLowerCase();
  const letters = foldCase(text).normalize('NFD').replace(accent, '');
  return letters.replace(specialLetter, (letter) => plainLetters[letter] ?? letter).normalize('NFC');
}

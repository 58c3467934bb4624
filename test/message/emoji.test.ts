import { expect, test } from 'vitest';
import { readEmoji } from '../../src/message/emoji.ts';

test.each([
  ['one code point', '👍'],
  ['a text character that a selector makes an emoji', '❤️'],
  ['a keycap', '1️⃣'],
  ['a flag of two letters', '🇩🇪'],
  ['a flag of tags', '🏴󠁧󠁢󠁥󠁮󠁧󠁿'],
  ['a skin tone', '👋🏽'],
  ['a skin tone on its own', '🏽'],
  ['a skin tone after a text character', '☝🏽'],
  ['a profession', '👩🏽‍⚕️'],
  ['two people with a skin tone each', '👩🏻‍❤️‍💋‍👨🏿'],
  ['a family', '👨‍👩‍👧‍👦'],
  ['a rainbow flag', '🏳️‍🌈'],
  ['two text characters in one', '👁️‍🗨️'],
])('%s is accepted as an emoji, unchanged', (_, emoji) => {
  expect(readEmoji(emoji)).toBe(emoji);
});

test.each([
  ['❤', '❤️'],
  ['❤‍🔥', '❤️‍🔥'],
  ['1⃣', '1️⃣'],
  ['#⃣', '#️⃣'],
  ['🕵‍♂', '🕵️‍♂️'],
  ['🏳‍🌈', '🏳️‍🌈'],
  ['👍\ufe0f', '👍'],
  ['☝\ufe0f🏽', '☝🏽'],
  ['©', '©️'],
])('%s, with a selector missing or too many, is %s', (written, emoji) => {
  expect(written).not.toBe(emoji);
  expect(readEmoji(written)).toBe(emoji);
});

test.each([
  ['nothing', ''],
  ['a letter', 'a'],
  ['a digit', '1'],
  ['a word', 'thumbs up'],
  ['a short code', ':+1:'],
  ['an emoticon', ':-)'],
  ['two emoji', '👍👍'],
  ['an emoji and a space', '👍 '],
  ['a space and an emoji', ' 👍'],
  ['an emoji and a line end', '👍\n'],
  ['an emoji and a letter', '👍a'],
  ['half a flag', '🇩'],
  ['a flag of no country', '🇽🇽'],
  ['two flags', '🇩🇪🇫🇷'],
  ['an unknown combination of people', '👍‍👎'],
  ['a skin tone on what has no skin', '🚗🏽'],
  ['an unfinished sequence', '👩‍'],
  ['a joiner', '\u200d'],
  ['a selector', '\ufe0f'],
  ['a keycap of a letter', 'a⃣'],
  ['the text style of an emoji', '❤\ufe0e'],
  ['half a surrogate pair', '\ud83d'],
  ['a family without end', '👨‍👩‍👧‍👦'.repeat(1_000)],
])('%s is refused', (_, text) => {
  expect(readEmoji(text)).toBeNull();
});

test('every emoji of Unicode is accepted, and has exactly one spelling', () => {
  const one = new RegExp(String.raw`^\p{RGI_Emoji}$`, 'v');
  let count = 0;
  for (let point = 0; point <= 0x1ffff; point += 1) {
    for (const emoji of [String.fromCodePoint(point), `${String.fromCodePoint(point)}\ufe0f`]) {
      if (!one.test(emoji)) continue;
      count += 1;
      expect(readEmoji(emoji)).toBe(emoji);
      expect(readEmoji(emoji.replaceAll('\ufe0f', ''))).toBe(emoji);
    }
  }
  expect(count).toBeGreaterThan(1_300);
});

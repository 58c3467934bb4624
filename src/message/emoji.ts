/**
 * The longest emoji sequences have 10 code points of at most two UTF-16 units each. The limit leaves room for longer
 * ones.
 */
const maxUnits = 40;

// Built from strings: Node supports the flag `v`, but the compiler's target does not support it yet.
const oneEmoji = new RegExp(String.raw`^\p{RGI_Emoji}$`, 'v');
/** Matches characters that are displayed as text unless U+FE0F follows. Keyboards and people often omit U+FE0F. */
const textByDefault = new RegExp(String.raw`[\p{Emoji}--\p{Emoji_Presentation}](?![\p{Emoji_Modifier}\ufe0e])`, 'gv');

/**
 * Parses one emoji and returns its fully qualified form (Unicode Technical Standard 51), so that ❤ with and without
 * U+FE0F count as the same emoji. Returns null unless the text is exactly one emoji that Unicode recommends for
 * interchange.
 */
export function readEmoji(text: string): string | null {
  if (text.length > maxUnits) return null;
  const qualified = text.replaceAll('\ufe0f', '').replaceAll(textByDefault, '$&\ufe0f');
  return oneEmoji.test(qualified) ? qualified : null;
}

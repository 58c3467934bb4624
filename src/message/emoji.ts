/** The longest sequences there are have 10 code points, of two UTF-16 units at most. */
const maxUnits = 40;

// Built from strings: the compiler's target has no flag v yet, Node has.
const oneEmoji = new RegExp(String.raw`^\p{RGI_Emoji}$`, 'v');
/** Shown as text unless U+FE0F follows, as keyboards and people often leave out. */
const textByDefault = new RegExp(String.raw`[\p{Emoji}--\p{Emoji_Presentation}](?![\p{Emoji_Modifier}\ufe0e])`, 'gv');

/**
 * The emoji that the text is, in its fully qualified spelling (Unicode Technical Standard 51), so that ❤ with and
 * without U+FE0F are one; null for whatever isn't exactly one of those that Unicode recommends for interchange.
 */
export function readEmoji(text: string): string | null {
  if (text.length > maxUnits) return null;
  const qualified = text.replaceAll('\ufe0f', '').replaceAll(textByDefault, '$&\ufe0f');
  return oneEmoji.test(qualified) ? qualified : null;
}

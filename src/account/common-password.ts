import { commonPasswords, commonWords } from './common-password-list.ts';

const passwords = new Set(commonPasswords);
const words = new Set(commonWords);

/** Fingers along the keyboard; each counts in both directions. */
const walks = [
  'qwertyuiop[]',
  'asdfghjkl;',
  'zxcvbnm,./',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  'azertyuiopqsdfghjklmwxcvbn',
  '1q2w3e4r5t6y7u8i9o0p',
  'q1w2e3r4t5y6u7i8o9p0',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/',
  'qazwsxedcrfvtgbyhnujmikolp',
  'qweasdzxc',
  '123qweasdzxc',
  '147258369',
  '741852963',
  '!@#$%^&*()',
].flatMap((walk) => [walk, [...walk].toReversed().join('')]);

/** The longest word with all that may stand around it. */
const maxWordLength = 48;

const leet: Record<string, string> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
  '!': 'i',
};

/**
 * Whether the password is among the first that anybody guesses: on the list of the most common ones, one of the words
 * they are made of with a few digits or signs around it (`Dragon1!`, `p@ssw0rd`), a run (`87654321`), a short pattern
 * repeated, or a walk along the keyboard. Letter case makes no difference.
 */
export function isCommonPassword(password: string): boolean {
  const guess = password.normalize('NFKC').toLowerCase();
  return passwords.has(guess) || isMechanical(guess) || isWordWithTrimmings(guess);
}

/** Anything that repeats with a period of up to four, counts up or down, or follows the keys. */
function isMechanical(text: string): boolean {
  return [1, 2, 3, 4].some((period) => isRepeated(text, period)) || isRun(text, 1) || isRun(text, -1) || isWalk(text);
}

function isRepeated(text: string, period: number): boolean {
  return text.length >= period * 2 && [...text].every((_, at) => at < period || text[at] === text[at - period]);
}

function isRun(text: string, step: number): boolean {
  return [...text].every((_, at) => {
    if (at === 0) return true;
    const [before, here] = [text.charCodeAt(at - 1), text.charCodeAt(at)];
    // 9 goes on with 0, as on the keyboard.
    return here === before + step || (isDigit(before) && isDigit(here) && (here - before - step) % 10 === 0);
  });
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isWalk(text: string): boolean {
  return walks.some((walk) => walk.includes(text));
}

function isWordWithTrimmings(text: string): boolean {
  if (text.length > maxWordLength) return false;
  const [, head = '', core = '', tail = ''] = /^([^\p{L}]*)(.*?)([^\p{L}]*)$/u.exec(text) ?? [];
  // With `p@ssw0rd1` the sign belongs to the word, with `dragon1!` it doesn't: both readings are tried.
  return isTrimming(head) && isTrimming(tail) && (isWord(core) || isWord(head + core) || isWord(core + tail));
}

function isWord(text: string): boolean {
  return words.has(text) || words.has([...text].map((sign) => leet[sign] ?? sign).join(''));
}

/** So short or so mechanical that it adds nothing to a guess. */
function isTrimming(text: string): boolean {
  return text.length <= 4 || isMechanical(text);
}

import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common';
import { dictionary as english } from '@zxcvbn-ts/language-en';

/**
 * A password that falls within so many guesses is refused: 10^7.5. Eight random characters take 10^8 by zxcvbn's reckoning,
 * `summer2026!` takes 10^7.
 */
const minGuessesLog10 = 7.5;

/**
 * Its cost grows faster than the text, and a stranger chooses the text: with these two bounds the worst password found
 * took 18 ms of CPU (262 ms at 100 substitutions, 832 ms when 64 characters count). `p@$$w0rd` is still recognised.
 */
const bounds = { maxLength: 32, l33tMaxSubstitutions: 2 };

const estimator = new ZxcvbnFactory({ dictionary: { ...common, ...english }, graphs: adjacencyGraphs, ...bounds });

/**
 * Whether the password is among the first that an attacker guesses: a common one, a word or a name with a few digits or
 * signs around it (`Dragon1!`, `p@ssw0rd`), a run, a date, a repeated pattern, a walk along the keyboard, or one of
 * `names`, what its owner is known by. Only its first 32 characters count. Letter case makes no difference.
 */
export function isCommonPassword(password: string, names: string[] = []): boolean {
  const { guessesLog10 } = estimator.check(password.normalize('NFKC').slice(0, bounds.maxLength), names);
  return guessesLog10 < minGuessesLog10;
}

import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common';
import { dictionary as english } from '@zxcvbn-ts/language-en';

/**
 * Passwords that need fewer than 10^7.5 guesses are refused. By zxcvbn's estimate, eight random characters need 10^8
 * guesses and `summer2026!` needs 10^7.
 */
const minGuessesLog10 = 7.5;

/**
 * The cost of an estimate grows faster than the length of the text, and anyone can send a long text. With these two
 * bounds, the slowest password that was found takes 18 ms of CPU time (262 ms with 100 substitutions, 832 ms with 64
 * characters). `p@$$w0rd` is still recognised.
 */
const bounds = { maxLength: 32, l33tMaxSubstitutions: 2 };

const estimator = new ZxcvbnFactory({ dictionary: { ...common, ...english }, graphs: adjacencyGraphs, ...bounds });

/**
 * Returns whether the password is among the first that an attacker would guess. These are common passwords, words or
 * names with a few digits or symbols around them (`Dragon1!`, `p@ssw0rd`), sequences, dates, repeated patterns,
 * neighbouring keys on the keyboard, and `names` (the owner's own names). Only the first 32 characters count. Letter
 * case makes no difference.
 */
export function isCommonPassword(password: string, names: string[] = []): boolean {
  const { guessesLog10 } = estimator.check(password.normalize('NFKC').slice(0, bounds.maxLength), names);
  return guessesLog10 < minGuessesLog10;
}

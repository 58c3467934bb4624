/**
 * Prints the invisible characters (those that display nothing by themselves) as a PostgreSQL character class, for the
 * check constraints in a migration. test/core/text.test.ts verifies that the migrations list the same characters.
 */
import process from 'node:process';
import { isVisible } from '../src/core/text.ts';

const ranges: [from: number, to: number][] = [];
for (let code = 1; code <= 0x10ffff; code += 1) {
  if ((code >= 0xd800 && code <= 0xdfff) || isVisible(String.fromCodePoint(code))) continue;
  const last = ranges.at(-1);
  if (last?.[1] === code - 1) last[1] = code;
  else ranges.push([code, code]);
}
const print = (code: number) =>
  code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
process.stdout.write(
  `${ranges.map(([from, to]) => (from === to ? print(from) : `${print(from)}-${print(to)}`)).join('')}\n`,
);

import process from 'node:process';
import { expect, test } from 'vitest';
import { isCommonPassword } from '../../src/account/common-password.ts';

const words = (text: string) => text.trim().split(/\s+/);

const common = words(`
  password PASSWORD Password1! p@ssw0rd P4ssw0rd123 iloveyou trustno1 sunshine princess football baseball starwars
  superman welcome1 letmein! dragon2024 qwerty123456 admin123 abcd1234 abc123456 a1b2c3d4
  1q2w3e4r 1qaz2wsx qwertyuiop asdfghjkl poiuytrewq zaq12wsx
  summer2026! slytherin charizard1 Gryffindor1 liverpool2025 $lyth3r1n ch4r1z4rd!
  12345678 87654321 1234567890 0987654321 abcdefgh 11111111 aaaaaaaa 12121212 abcabcabc ｐａｓｓｗｏｒｄ ５５５５５５５５
`);

test.each(common)('%s is common', (password) => {
  expect(isCommonPassword(password)).toBe(true);
});

const uncommon = words(`
  correct-horse-battery-staple analytical-engine sub-routine-1952 hopper7419283 dragons-eat-sushi password-manager
  summer-rain-on-2-tin-roofs slytherin-reads-poetry
  Пароль-подлиннее 密码要长一点才安全呢 w8ZkPq2vLm 🐢🦀🐙🦑🐚🐬🦈🐳
`);

test.each(uncommon)('%s is not common', (password) => {
  expect(isCommonPassword(password)).toBe(false);
});

test('a password that is little more than a name is common for its owner alone', () => {
  expect(isCommonPassword('lovelace.1815', ['lovelace', 'lovelace@example.com'])).toBe(true);
  expect(isCommonPassword('kx.engine.1815', ['lovelace', 'lovelace@example.com'])).toBe(false);
});

test.each(['1', 'ab', '4@1!30$5', '1987', 'passw0rd!', 'a1!', '🐢', 'áé'])(
  'a password of 1,000 characters made of %s is checked within a moment',
  (pattern) => {
    const password = pattern.repeat(1_000).slice(0, 1_000);
    const before = process.cpuUsage();
    isCommonPassword(password);
    const { user } = process.cpuUsage(before);
    // If the work were not bounded, these checks would take seconds to minutes.
    expect(user / 1000).toBeLessThan(200);
  },
);

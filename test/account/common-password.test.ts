import { expect, test } from 'vitest';
import { isCommonPassword } from '../../src/account/common-password.ts';

const words = (text: string) => text.trim().split(/\s+/);

const common = words(`
  password PASSWORD Password1! p@ssw0rd P4ssw0rd123 iloveyou trustno1 sunshine princess football baseball starwars
  superman welcome1 letmein! dragon2024 qwerty123456 admin123 abcd1234 abc123456 a1b2c3d4
  1q2w3e4r 1qaz2wsx qwertyuiop asdfghjkl poiuytrewq zaq12wsx
  12345678 87654321 1234567890 0987654321 abcdefgh 11111111 aaaaaaaa 12121212 abcabcabc ｐａｓｓｗｏｒｄ ５５５５５５５５
`);

test.each(common)('%s is common', (password) => {
  expect(isCommonPassword(password)).toBe(true);
});

const uncommon = words(`
  correct-horse-battery-staple analytical-engine sub-routine-1952 hopper7419283 dragons-eat-sushi password-manager
  Пароль-подлиннее 密码要长一点才安全呢 w8ZkPq2vLm 🐢🦀🐙🦑🐚🐬🦈🐳
`);

test.each(uncommon)('%s is not', (password) => {
  expect(isCommonPassword(password)).toBe(false);
});

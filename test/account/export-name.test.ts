import { expect, test } from 'vitest';
import { pathInExport } from '../../src/account/export-name.ts';

test.each([
  ['notes.txt', 'files/7-notes.txt'],
  ['../../etc/passwd', 'files/7-passwd'],
  ['/etc/passwd', 'files/7-passwd'],
  [String.raw`..\..\windows\system.ini`, 'files/7-system.ini'],
  ['..', 'files/7-file'],
  ['', 'files/7-file'],
  ['???', 'files/7-___'],
  ['C:evil.exe', 'files/7-C_evil.exe'],
  ['what?<is>|"this"*.txt', 'files/7-what__is___this__.txt'],
  ['NUL', 'files/7-NUL'],
  ['ends with dots. . .', 'files/7-ends with dots'],
  ['a\u0000b\u001b[31m.txt', 'files/7-ab[31m.txt'],
  ['\u202etxt.exe', 'files/7-txt.exe'],
  ['übung 🎉.txt', 'files/7-übung 🎉.txt'],
])('%j becomes %j', (name, path) => {
  expect(pathInExport({ id: 7n, name })).toBe(path);
});

test('a long name is cut off between two characters, and keeps its extension', () => {
  const path = pathInExport({ id: 7n, name: `${'🎉'.repeat(200)}.jpeg` });
  expect(path).toBe(`files/7-${'🎉'.repeat(48)}.jpeg`);
  expect(pathInExport({ id: 7n, name: `a.${'b'.repeat(250)}` })).toBe(`files/7-a.${'b'.repeat(198)}`);
});

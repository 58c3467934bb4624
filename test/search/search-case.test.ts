import { expect, test } from 'vitest';
import { finds, findsByPattern } from '../support/search-text.ts';

/** A text, the queries that find it, and the queries that do not find it. */
const cases: [text: string, found: string[], notFound?: string[]][] = [
  // Apostrophes, including those that Unicode counts as letters.
  ['обʼєкт', ["об'єкт", 'об’єкт', 'обєкт']],
  ['Hawaiʻi', ['hawaii', "hawai'i", 'Hawaiʻi']],
  ['Qurʾan', ['quran', "qur'an"]],
  ['ʿAli', ['ali']],
  ['donʼt', ["don't", 'dont', 'don`t', 'don＇t']],
  ['rock’n’roll', ['rocknroll', 'rock', "rock'n'roll"]],
  ['O’Brien', ['obrien', 'brien', "o'brien"]],
  // Punctuation of all kinds.
  ['He said ‚hallo‘ – and left…now', ['hallo', 'left', 'now']],
  ['costs $5.99 or €750', ['5.99', '$5.99', '750', '€750']],
  ['№5 and № 7', ['№5', '5', '№7', '7']],
  ['1½ cups', ['1', '½', '1/2', '1½'], ['11']],
  ['x², H₂O, 10㎏, Ⅳ', ['x2', 'h2o', '10kg', 'iv']],
  ['brand™ ©2024', ['brand', '2024'], ['™']],
  ['𝓗𝓮𝓵𝓵𝓸 Ｗｏｒｌｄ', ['hello', 'world']],
  // Names of files, programs and variables.
  ['see .env.local and /etc/.eslintrc.json', ['.env', 'env', '.local', '.eslintrc', '.eslintrc.json', '.json']],
  ['file.tar.gz', ['.gz', 'tar.gz', '.tar.gz', 'file.tar']],
  ['ASP.NET', ['.net', 'asp.net', 'net'], ['.ne.t']],
  ['C#8 and F#', ['c#', 'f#', 'c#8', 'c'], ['c++', 'g#']],
  ['issue#42, PR#7', ['issue', '#42', '42', 'issue#42', 'pr#7', '#7']],
  ['g++ -O2, i++; a+b', ['g++', 'i++', 'a+b', 'b', 'o2'], ['a++']],
  ['fetchRowsByKey', ['fetch', 'rowsbykey', 'bykey', 'key', 'RowsBy', 'fetchrows'], ['rowskey', 'ows']],
  ['XMLHttpRequest', ['http', 'httprequest', 'request', 'xmlhttp']],
  ['__init__ and snake_case_name', ['init', '__init__', 'case_name', 'name']],
  ['std::vector<int> x', ['std::vector', 'vector', 'int']],
  ['C:\\Users\\ada\\file.txt', ['users\\ada', 'file.txt', '.txt']],
  ['192.168.0.1:8080', ['192.168.0.1', '168.0', '8080'], ['168.1']],
  ['2026-11-27T12:30', ['2026-11', '11-27'], ['27-11']],
  ['https://a.example/x-y_z?q=qwerty#frag', ['qwerty', 'frag', 'x-y', 'a.example/x', 'https://a.example/x-y_z']],
  ['https://ja.wikipedia.org/wiki/東京', ['東京', 'wiki/東京', 'wikipedia.org']],
  ['jane.doe+tag@example.com', ['tag', 'doe', '@example', 'jane.doe+tag@ex'], ['ane']],
  // Emoji.
  ['👩🏽‍💻 coding', ['👩‍💻', '💻', '👩', '👩🏿‍💻'], ['👨']],
  ['🏳️‍🌈 and 🏴󠁧󠁢󠁥󠁮󠁧󠁿', ['🏳️‍🌈', '🌈', '🏴', 'and']],
  ['🇩🇪🇫🇷', ['🇩🇪', '🇫🇷', '🇩🇪🇫🇷'], ['🇪🇫']],
  ['1️⃣2️⃣ #️⃣', ['1️⃣', '2️⃣', '#️⃣']],
  ['ℹ️info ‼️now ⁉️', ['ℹ️', 'ℹ', '‼', '‼️', '⁉️', 'info', 'now']],
  ['Ⓜ️etro', ['Ⓜ️', 'etro'], ['metro']],
  ['❤️‍🔥great👍🏿!', ['❤', '🔥', 'great', '👍']],
  // Chinese, Japanese, Korean.
  ['価格：５００円（税込）', ['500円', '500', '税込', '価格 税込'], ['円税']],
  ['iPhone15を買う', ['iphone15', '買う', 'を']],
  ['A股上涨🐱', ['a股', '上涨', '🐱', '股上']],
  ['𠮷野家', ['𠮷', '野家', '𠮷野']],
  ['ｶﾞｷﾞ ゔ 人々', ['ガギ', 'ゔ', '人々', '々'], ['カキ', 'ヴ']],
  ['コンピュータ・テスト', ['テスト', 'コンピュータ・テスト'], ['コンピューター']],
  ['한국어를 공부해요 ㅋㅋㅋ', ['한국어', '공부', 'ㅋㅋ'], ['국어', '를']],
  ['C언어(강남)', ['c언어', '강남', '언어']],
  // Thai, Lao, Khmer and Burmese.
  ['ราคา ๕๐ บาท สวัสดี2024', ['50', 'บาท', '2024', 'วัสดี'], ['ราคี']],
  ['ສະບາຍດີ កម្ពុជា ကျေးဇူး', ['ບາຍ', 'ពុជា', 'ကျေး']],
  // Arabic, Persian, Urdu and Hebrew.
  ['أُسْتَاذٌ إلى مكتبة', ['استاذ', 'الى', 'مكتبه', 'أستاذ']],
  ['خانهٔ ۀ ہے ۱۲۳', ['خانه', 'ه', 'هے', '123']],
  ['می‌روم', ['میروم', 'می‌روم']],
  ['تقويم،الاثنين؟', ['الاثنين', 'تقويم']],
  ['ח״כ בני־ברק ג׳ירפה', ['חכ', 'ח"כ', 'ברק', 'בני ברק', 'בני-ברק', "ג'ירפה"]],
  // Other scripts.
  ['Tiếng Việt, đường', ['tieng viet', 'duong', 'Tiê\u0301ng']],
  ['ΜΆΪΟΣ Ἀθῆναι', ['μαιος', 'μάιος', 'αθηναι']],
  ['Київ, Йод', ['київ', 'йод'], ['киів', 'иод']],
  ['हिन्दी नमस्ते। १२३', ['हिन्दी', 'नमस', '123'], ['हनदी']],
  ['தமிழ்நாடு తెలుగు ქართული ᲥᲐᲠᲗᲣᲚᲘ እንደምን፡ነው', ['தமிழ', 'తెలు', 'ქართ', 'ᲥᲐᲠ', 'ነው']],
  ['İzmir IĞDIR straße ẞ Łódź Œuvre Þór', ['izmir', 'ığdır', 'strasse', 'ss', 'lodz', 'oeuvre', 'thor']],
  // What displays nothing.
  ['pa\u00adtient a\u034fb word\u2060joiner \u2066isolated\u2069', ['patient', 'ab', 'wordjoiner', 'isolated']],
  ['left\u200bpad a\u2028b c\u0085d \ufefftop', ['pad', 'left', '"a b"', 'd', 'top']],
  // Queries.
  ['a red, car', ['“red car”', '«red car»', '‘red car’', '「red car」', '＂red car＂', '"red  car"'], ['"car red"']],
  ['mint green tea', ['mint –purple', 'mint −coffee', '(tea)', '+tea'], ['mint –green', 'mint -"green tea"']],
  ['dog bird', ['cat or dog bird', 'cat OR dog', '"cat" or "dog bird"'], ['cat or fox', '-dog or -bird']],
];

test.each(cases)('%j is found by %j, and not by %j', (text, found, notFound = []) => {
  const run = (query: string) => [query, finds(query, text), findsByPattern(query, text)];
  expect(found.map(run)).toEqual(found.map((query) => [query, true, true]));
  expect(notFound.map(run)).toEqual(notFound.map((query) => [query, false, false]));
});

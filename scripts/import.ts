/**
 * `npm run -s import -- slack FOLDER|ZIP` and `… mattermost FILE`: convert an export from another system into the lines
 * that `POST /api/import` accepts, and write them to the standard output. See docs/import.md.
 */
import process from 'node:process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { convertMattermost } from '../src/import/mattermost.ts';
import { convertSlack } from '../src/import/slack.ts';

const converters = new Map([
  ['slack', convertSlack],
  ['mattermost', convertMattermost],
]);

const [system = '', path, ...more] = process.argv.slice(2);
const convert = converters.get(system);
if (convert === undefined || path === undefined || more.length > 0) {
  process.stderr.write('Usage: npm run -s import -- slack FOLDER|ZIP\n       npm run -s import -- mattermost FILE\n');
  process.exitCode = 1;
} else {
  try {
    await pipeline(Readable.from(convert(path)), process.stdout);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

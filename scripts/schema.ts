import { readFile, writeFile } from 'node:fs/promises';
import { printApi } from '../src/api/schema.ts';
import { schema } from '../src/edges.ts';

// `npm run schema` writes schema.graphql; with `-- --check` it fails if the file does not match the code.
const file = new URL('../schema.graphql', import.meta.url);

if (process.argv.includes('--check')) {
  if ((await readFile(file, 'utf8')) !== printApi(schema)) {
    process.stderr.write('schema.graphql does not match the code: run `npm run schema` and commit it.\n');
    process.exitCode = 1;
  }
} else {
  await writeFile(file, printApi(schema));
}

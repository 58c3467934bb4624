import { readFile, writeFile } from 'node:fs/promises';
import { apiLevel, apiVersion } from '../src/api/feature.ts';
import { judgeChange, printRelease, readRelease } from '../src/api/schema-change.ts';
import { printApi, printPossibleTypes } from '../src/api/schema.ts';
import { schema } from '../src/edges.ts';

// `npm run schema` writes schema.graphql, and prints what Apollo Client needs as `possibleTypes`; with `-- --check` it fails if the file does not match the code, or if the API
// has changed in a way that docs/api-policy.md rules out. With `-- --release` it writes docs/schema-released.graphql.
const file = new URL('../schema.graphql', import.meta.url);
const releasedFile = new URL('../docs/schema-released.graphql', import.meta.url);
const current = { schema, version: apiVersion, level: apiLevel };

if (process.argv.includes('--check')) {
  const problems = judgeChange(readRelease(await readFile(releasedFile, 'utf8')), current);
  if ((await readFile(file, 'utf8')) !== printApi(schema)) {
    problems.push('schema.graphql does not match the code: run `npm run schema` and commit it.');
  }
  if (problems.length > 0) {
    process.stderr.write(`${problems.join('\n')}\n`);
    process.exitCode = 1;
  }
} else if (process.argv.includes('--release')) {
  const problems = judgeChange(readRelease(await readFile(releasedFile, 'utf8')), current);
  if (problems.length === 0) await writeFile(releasedFile, printRelease(current));
  else {
    process.stderr.write(`${problems.join('\n')}\n`);
    process.exitCode = 1;
  }
} else {
  await writeFile(file, printApi(schema));
  process.stdout.write(printPossibleTypes(schema));
}

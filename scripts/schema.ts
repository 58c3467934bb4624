import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { apiLevel, apiVersion } from '../src/api/feature.ts';
import { judgeChange, printRelease, readRelease } from '../src/api/schema-change.ts';
import { printApi, printPossibleTypes } from '../src/api/schema.ts';
import { schema } from '../src/edges.ts';
import { printClientSchema } from './client-schema.ts';

// `npm run schema` writes schema.graphql and src/client/generated, and prints the value of Apollo Client's
// `possibleTypes` option. With `-- --check` it fails if the files do not match the code, or if the API has changed in a
// way that docs/api-policy.md rules out. With `-- --release` it writes docs/schema-released.graphql.
const file = new URL('../schema.graphql', import.meta.url);
const releasedFile = new URL('../docs/schema-released.graphql', import.meta.url);
const clientFolder = new URL('../src/client/generated/', import.meta.url);
const current = { schema, version: apiVersion, level: apiLevel };

if (process.argv.includes('--check')) {
  const problems = judgeChange(readRelease(await readFile(releasedFile, 'utf8')), current);
  for (const [name, url, text] of written()) {
    if ((await readFile(url, 'utf8').catch(() => null)) === text) continue;
    problems.push(`${name} does not match the code: run \`npm run schema\` and commit it.`);
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
  await mkdir(clientFolder, { recursive: true });
  for (const [, url, text] of written()) await writeFile(url, text);
  process.stdout.write(printPossibleTypes(schema));
}

/** Returns the files that are generated from the code: their names, their locations and their contents. */
function written(): [string, URL, string][] {
  const forClients = [...printClientSchema(schema)].map(([name, text]): [string, URL, string] => [
    `src/client/generated/${name}`,
    new URL(name, clientFolder),
    text,
  ]);
  return [['schema.graphql', file, printApi(schema)], ...forClients];
}

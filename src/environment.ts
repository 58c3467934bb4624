import { readFileSync, statSync } from 'node:fs';
import { parseEnv } from 'node:util';

/**
 * The result of reading the environment: the values of the settings by name, and the problems with the files that they
 * come from.
 */
export type Environment = { values: Record<string, string | undefined>; problems: string[] };

const maxFileBytes = 1024 * 1024;

/**
 * Reads the settings with these names. A setting comes from the environment, from a file that `NAME_FILE` names (which
 * is how container platforms provide secrets), or otherwise from the file that CONFIG_FILE names, which has the syntax
 * of .env files. A problem names the setting and the path, but never the contents of the file.
 */
export function readEnvironment(env: Record<string, string | undefined>, names: readonly string[]): Environment {
  const problems: string[] = [];
  const values = { ...readConfigFile(env['CONFIG_FILE'], names, problems), ...withoutEmpty(env) };
  for (const name of names) {
    const path = values[`${name}_FILE`];
    if (path === undefined) continue;
    // A setting comes from the environment, from a file that `NAME_FILE` names (which is how container platforms
    // provide secrets), or otherwise from the file that CONFIG_FILE names, which has the syntax of .env files.
    const isReplaced = env[name] && !env[`${name}_FILE`];
    if (isReplaced) continue;
    const isGivenTwice = values[name] !== undefined && (env[name] || !env[`${name}_FILE`]);
    if (isGivenTwice) problems.push(`${name}_FILE: not set, because ${name} is set as well`);
    else values[name] = readText(`${name}_FILE`, path, problems)?.replace(/\r?\n$/, '');
  }
  return { values, problems };
}

function readConfigFile(
  path: string | undefined,
  names: readonly string[],
  problems: string[],
): Record<string, string | undefined> {
  const text = path ? readText('CONFIG_FILE', path, problems) : undefined;
  if (text === undefined) return {};
  const values = withoutEmpty(parseEnv(text));
  const known = new Set(names.flatMap((name) => [name, `${name}_FILE`]));
  const unknown = Object.keys(values).filter((name) => !known.has(name));
  for (const name of unknown) problems.push(`CONFIG_FILE: only settings (got ${name}, which is not one)`);
  return values;
}

function withoutEmpty(env: NodeJS.Dict<string>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value));
}

function readText(setting: string, path: string, problems: string[]): string | undefined {
  try {
    if (statSync(path).size <= maxFileBytes) return readFileSync(path, 'utf8');
    problems.push(`${setting}: a file of at most 1 MiB (got "${path}", which is larger)`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    problems.push(`${setting}: a file that can be read (got "${path}": ${code})`);
  }
  return undefined;
}

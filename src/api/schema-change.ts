import {
  buildSchema,
  DangerousChangeType,
  findBreakingChanges,
  findDangerousChanges,
  printSchema,
  type GraphQLSchema,
} from 'graphql';

/** A state of the API: its schema, the version of parley that it belongs to, and its level. */
export type ApiState = { schema: GraphQLSchema; version: string; level: number };

/** Formats the API of a release in the form that docs/schema-released.graphql has. */
export function printRelease({ schema, version, level }: ApiState): string {
  return `# Released as version ${version}, level ${level}. Written by \`npm run schema -- --release\`.\n\n${printSchema(schema)}\n`;
}

/** Parses the output of `printRelease`. Throws if the text has any other form. */
export function readRelease(text: string): ApiState {
  const [, version, level] = /^# Released as version (\d+\.\d+\.\d+), level (\d+)\./.exec(text) ?? [];
  if (version === undefined || level === undefined) throw new Error('the file does not begin with its release');
  return { schema: buildSchema(text), version, level: Number(level) };
}

/**
 * Compares the API with its last release according to the rules in docs/api-policy.md, and returns the violations. A
 * violation is a breaking change without a new major version, or an addition without a higher level. Before version
 * 1.0.0, the second number of the version counts as the major version.
 */
export function judgeChange(released: ApiState, current: ApiState): string[] {
  const problems: string[] = [];
  if (majorOf(current.version) === majorOf(released.version)) {
    const changes = [
      ...findBreakingChanges(released.schema, current.schema),
      ...findDangerousChanges(released.schema, current.schema).filter(
        ({ type }) => type === DangerousChangeType.ARG_DEFAULT_VALUE_CHANGE,
      ),
    ];
    problems.push(...changes.map(({ description }) => `This breaks clients of ${released.version}: ${description}`));
  }
  if (current.level <= released.level && outlineOf(current.schema) !== outlineOf(released.schema)) {
    problems.push(
      `The API has changed since ${released.version}: increase its level, which is still ${current.level}.`,
    );
  }
  return problems;
}

function majorOf(version: string): string {
  const [major, minor] = version.split('.');
  return major === '0' ? `0.${minor}` : String(major);
}

/** Returns the schema without its descriptions. */
function outlineOf(schema: GraphQLSchema): string {
  return printSchema(schema).replace(/^\s*"""[\s\S]*?"""\n/gm, '');
}

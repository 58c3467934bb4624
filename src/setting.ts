import { z } from 'zod';
import { CannotStart } from './errors.ts';
import { parseDatabaseUrl } from './postgres/database-url.ts';
import { parseRedisUrl } from './redis/redis-url.ts';
import { limitRules, type LimitName } from './core/limit.ts';

/** An environment variable. A setting without a default is optional. Its value is null if it is not set. */
export type Setting = { name: string; default: string | null; wants: z.ZodType; meaning: string; isSecret?: true };

/** The parsed value of a setting, or null if the setting is optional and not set. */
type ValueOf<S extends Setting> = S['default'] extends null ? z.output<S['wants']> | null : z.output<S['wants']>;

/** The parsed values of a table of settings, under the names that they have in the table. */
export type ValuesOf<Table extends Record<string, Setting>> = { [Name in keyof Table]: ValueOf<Table[Name]> };

/**
 * Reads the settings of a table. Throws one CannotStart that lists all invalid settings, each with the expected and the
 * actual value (except for the values of secrets), and the `problems` that the caller has found. An empty value counts
 * as not set.
 */
export function readSettings<Table extends Record<string, Setting>>(
  env: Record<string, string | undefined>,
  table: Table,
  problems: readonly string[] = [],
): ValuesOf<Table> {
  const found = [...problems];
  const values = Object.entries<Setting>(table).map(([key, setting]) => {
    const given = env[setting.name] || setting.default;
    if (given === null) return [key, null];
    const parsed = setting.wants.safeParse(given);
    if (!parsed.success) found.push(describeProblem(setting, given, parsed.error));
    return [key, parsed.data];
  });
  if (found.length > 0) throw new CannotStart(`The configuration is not valid:\n  ${found.join('\n  ')}`);
  // Each value has just been parsed by its own setting, so the object has the types that the table declares.
  return Object.fromEntries(values) as ValuesOf<Table>;
}

function describeProblem({ name, wants, isSecret }: Setting, given: string, error: z.ZodError): string {
  return `${name}: ${wants.description} (${isSecret ? `got a value that is not shown: ${error.issues[0]?.message}` : `got "${given}"`})`;
}

/** Anything. */
export const anyText = z.string().describe('any text');

/** A switch. */
export const onOrOff = z.enum(['on', 'off']).describe('on or off');

/** A setting that is true or false. */
export const trueOrFalse = z
  .enum(['true', 'false'])
  .transform((value) => value === 'true')
  .describe('true or false');

/** A whole number within bounds. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,16}$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max)
    .describe(`an integer from ${min} to ${max}`);

const unitsMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration such as 90m, in milliseconds. */
export const durationMs = z
  .string()
  .regex(/^[1-9]\d{0,5}[smhd]$/)
  .transform((value) => Number(value.slice(0, -1)) * unitsMs[value.slice(-1) as keyof typeof unitsMs])
  .describe('a number with a unit: s, m, h or d, e.g. 90m or 7d');

/** A quota such as 60/10s. */
export const quota = z
  .string()
  .regex(/^[1-9]\d{0,8}\/[1-9]\d{0,5}[smhd]$/)
  .transform((value) => {
    const [count = '', window = ''] = value.split('/');
    return { count: Number(count), windowSeconds: durationMs.parse(window) / 1000 };
  })
  .describe('how many in how long, e.g. 60/10s or 5/15m');

/** Parses the text with `parse`. If `parse` throws, the message of its error describes the problem. */
export const parsedBy = <Value>(parse: (text: string) => Value) =>
  z.string().transform((value, context) => {
    try {
      return parse(value);
    } catch (error) {
      context.addIssue((error as Error).message);
      return z.NEVER;
    }
  });

/** A URL of a PostgreSQL database. */
export const postgresUrl = parsedBy(parseDatabaseUrl).describe('a URL such as postgres://user:password@host:5432/name');

/** Where Redis is. */
export const redisUrl = parsedBy(parseRedisUrl).describe(
  'a URL such as redis://user:password@host:6379, redis+cluster://host:7000,host:7001 or redis+sentinel://host:26379/service',
);

/** A setting for each limit. */
export function quotaSettings(): Record<
  LimitName,
  { name: string; default: string; wants: typeof quota; meaning: string }
> {
  const entries = Object.entries(limitRules).map(
    ([name, { setting, quota: usual, meaning }]) =>
      [name, { name: setting, default: usual, wants: quota, meaning }] as const,
  );
  // The keys are those of the table.
  return Object.fromEntries(entries) as ReturnType<typeof quotaSettings>;
}

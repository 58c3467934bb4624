import type { FieldError } from '../errors.ts';

/** The data that an embedding product stores with a user, a chat or a message, as a JSON object. */
export type Custom = Record<string, unknown>;

/**
 * The maximum length of the JSON in bytes, in the form in which PostgreSQL writes it (`{"a": 1, "b": [2, 3]}`). The
 * constraints in the database apply the same rule.
 */
export const maxCustomBytes = 4_096;
/**
 * The maximum nesting depth of its objects and lists. Deeper nesting might overflow the stack of a recursive reader.
 */
export const maxCustomDepth = 32;

type Problem = Omit<FieldError, 'path'>;

/** Validates an object, so that the database can store it. */
export function readCustom(value: Custom, path: string[], errors: FieldError[]): Custom {
  const problems: Problem[] = [];
  const bytes = measure(value, problems);
  if (bytes > maxCustomBytes) {
    problems.push({ code: 'TOO_LONG', message: `must be at most ${maxCustomBytes} bytes of JSON` });
  }
  const [problem] = problems;
  if (problem !== undefined) errors.push({ path, ...problem });
  return value;
}

/** Returns whether the object has no properties. */
export function isEmpty(custom: Custom): boolean {
  return Object.keys(custom).length === 0;
}

/** Returns the length of a value in bytes, in PostgreSQL's text form of jsonb. */
function measure(value: unknown, problems: Problem[], depth = 1): number {
  if (typeof value === 'string') return measureText(value, problems);
  if (typeof value === 'number') return measureNumber(value);
  if (typeof value !== 'object' || value === null) return String(value).length;
  if (depth > maxCustomDepth) {
    problems.push({ code: 'MALFORMED', message: `must be nested at most ${maxCustomDepth} levels deep` });
    return 0;
  }
  const parts = Array.isArray(value)
    ? value.map((each) => measure(each, problems, depth + 1))
    : Object.entries(value).map(
        ([name, each]) => measureText(name, problems) + ': '.length + measure(each, problems, depth + 1),
      );
  return parts.reduce((sum, bytes) => sum + bytes + ', '.length, '{}'.length) - (parts.length > 0 ? ', '.length : 0);
}

function measureText(text: string, problems: Problem[]): number {
  if (!text.isWellFormed()) problems.push({ code: 'MALFORMED', message: 'must be well-formed Unicode' });
  if (text.includes('\0')) problems.push({ code: 'MALFORMED', message: 'must not contain the character U+0000' });
  return Buffer.byteLength(JSON.stringify(text));
}

/** PostgreSQL writes numbers without an exponent, so 1e21 takes 22 digits. */
function measureNumber(value: number): number {
  const [, sign = '', digits = '', exponent] = /^(-?)([\d.]+)(?:e([-+]\d+))?$/.exec(JSON.stringify(value)) ?? [];
  if (exponent === undefined) return JSON.stringify(value).length;
  const power = Number(exponent);
  const significant = digits.replace('.', '').length;
  return sign.length + (power > 0 ? power + 1 : '0.'.length - power - 1 + significant);
}

import { rememberByText } from '../core/remember.ts';

/**
 * A media type with its parameters, for example from a Content-Type header. Names are in lower case, and values are
 * unquoted.
 */
export type MediaType = { type: string; parameters: ReadonlyMap<string, string> };

/**
 * Parses the media type in a header (RFC 9110, 8.3.1), in time proportional to its length. Skips malformed parameters.
 */
export function readMediaType(text = ''): MediaType {
  return parseOrRemember(text);
}

/**
 * Parses a media type that is a part of a header. The result is not cached, because the part would keep the whole
 * header in memory.
 */
export function parseMediaType(text: string): MediaType {
  const [type = '', ...rest] = splitOutsideQuotes(text, ';');
  const parameters = new Map<string, string>();
  for (const each of rest) {
    const equals = each.indexOf('=');
    if (equals === -1) continue;
    const name = each.slice(0, equals).trim().toLowerCase();
    if (!parameters.has(name)) parameters.set(name, unquote(each.slice(equals + 1).trim()));
  }
  return { type: type.trim().toLowerCase(), parameters };
}

const parseOrRemember = rememberByText(parseMediaType);

/** Splits text at each separator outside quoted strings. */
export function splitOutsideQuotes(text: string, separator: string): string[] {
  if (!text.includes('"')) return text.split(separator);
  const parts: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (isQuoted && character === '\\') index += 1;
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === separator && !isQuoted) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function unquote(value: string): string {
  if (!value.startsWith('"')) return value;
  return value.slice(1, value.length > 1 && value.endsWith('"') ? -1 : undefined).replaceAll(/\\(.)/g, '$1');
}

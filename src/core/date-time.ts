/** The `date-time` of RFC 3339, section 5.6. Leap seconds are refused, because a Date cannot represent them. */
const pattern =
  /^(\d{4})-(\d\d)-(\d\d)t([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d{1,30})?(?:z|([+-])([01]\d|2[0-3]):([0-5]\d))$/i;

/**
 * Parses an instant with a precision of one millisecond. Returns null if the text does not follow RFC 3339, or names a
 * day that does not exist.
 */
export function parseDateTime(text: string): Date | null {
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHours, offsetMinutes] =
    pattern.exec(text) ?? [];
  if (year === undefined) return null;
  const local = new Date(0);
  local.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const exists = local.getUTCMonth() + 1 === Number(month) && local.getUTCDate() === Number(day);
  if (!exists) return null;
  local.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.slice(1, 4).padEnd(3, '0')));
  const offset = (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0)) * 60_000;
  return new Date(local.getTime() - (sign === '-' ? -offset : offset));
}

/** The minute of the last call, which is cached because messages on one page are often from the same minute. */
let minute = Number.NaN;
let minuteText = '';

const minuteMs = 60_000;

/**
 * Formats a time like `Date.toISOString`, e.g. 2026-11-22T10:29:00.000Z, but three times as fast for a series of times
 * within the same minute. Throws a RangeError for an invalid date.
 */
export function printDateTime(date: Date): string {
  const time = date.getTime();
  const start = Math.floor(time / minuteMs);
  if (start !== minute) {
    // `minute` is set only after this line, because an invalid date throws.
    minuteText = date.toISOString().slice(0, -'00.000Z'.length);
    minute = start;
  }
  const rest = time - start * minuteMs;
  return `${minuteText}${digits(Math.floor(rest / 1_000), 2)}.${digits(rest % 1_000, 3)}Z`;
}

function digits(value: number, length: 2 | 3): string {
  if (length === 3 && value < 100) return value < 10 ? `00${value}` : `0${value}`;
  return length === 2 && value < 10 ? `0${value}` : `${value}`;
}

/** `date-time` of RFC 3339, section 5.6. A leap second has no instant of its own, and is refused. */
const pattern =
  /^(\d{4})-(\d\d)-(\d\d)t([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d{1,30})?(?:z|([+-])([01]\d|2[0-3]):([0-5]\d))$/i;

/**
 * Reads an instant, to the millisecond. Null if the text does not follow RFC 3339, or names a day that does not exist.
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

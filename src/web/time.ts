const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const shortDay = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const withYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'long', timeStyle: 'short' });

const dayMs = 86_400_000;

/** Formats the time of day. */
export function timeOf(at: string): string {
  return clock.format(new Date(at));
}

/** Formats a date and time for a tooltip. */
export function momentOf(at: string): string {
  return whole.format(new Date(at));
}

/** Formats a day as a heading: today, yesterday, or the date. */
export function dayOf(at: string): string {
  const date = new Date(at);
  const days = daysAgo(date);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return (date.getFullYear() === new Date().getFullYear() ? longDay : withYear).format(date);
}

/** Formats a time so that it is short enough for a list. */
export function shortTimeOf(at: string): string {
  const date = new Date(at);
  const days = daysAgo(date);
  if (days === 0) return clock.format(date);
  if (days < 7) return weekday.format(date);
  return (date.getFullYear() === new Date().getFullYear() ? shortDay : withYear).format(date);
}

/** Returns whether two instants are on the same day in this time zone. */
export function isSameDay(one: string, other: string): boolean {
  return midnightOf(new Date(one)) === midnightOf(new Date(other));
}

/** Formats how long ago something happened. If it was more than a day ago, returns the weekday or the date. */
export function agoOf(at: string): string {
  const minutes = Math.max(0, Math.floor((Date.now() - Date.parse(at)) / 60_000));
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return shortTimeOf(at);
}

function daysAgo(date: Date): number {
  return Math.round((midnightOf(new Date()) - midnightOf(date)) / dayMs);
}

function midnightOf(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

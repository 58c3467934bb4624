/** The durations that can be selected for a mute, a ban, a suspension or an invite, in minutes, each with a label. */
export const durations = {
  10: '10 minutes',
  60: '1 hour',
  1440: '1 day',
  10080: '1 week',
  43200: '30 days',
} as const;

/** Returns the time that is this many minutes from now, or null (which means no end) if the text is not a number. */
export function inMinutes(text: string): string | null {
  const minutes = Number.parseInt(text, 10);
  return Number.isNaN(minutes) ? null : new Date(Date.now() + minutes * 60_000).toISOString();
}

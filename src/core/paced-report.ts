import type { Report } from './report.ts';

/** The maximum number of reports with the same message that are written in `windowMs`. */
const pace = { most: 100, windowMs: 10_000 };

type Window = { endsAt: number; count: number; omitted: number };

/**
 * Forwards at most 100 reports with the same message per 10 s, so that a flood of requests cannot fill the disk. At the
 * end of the 10 s, one more report says how many were left out.
 */
export function paced(report: Report, { most, windowMs } = pace): Report {
  const windows = new Map<string, Window>();
  return (level, message, detail) => {
    const now = performance.now();
    let window = windows.get(message);
    if (window === undefined || now >= window.endsAt) {
      window = { endsAt: now + windowMs, count: 0, omitted: 0 };
      windows.set(message, window);
    }
    window.count += 1;
    if (window.count <= most) return report(level, message, detail);
    window.omitted += 1;
    if (window.omitted > 1) return;
    const full = window;
    setTimeout(() => report(level, message, { omitted: full.omitted }), full.endsAt - now).unref();
  };
}

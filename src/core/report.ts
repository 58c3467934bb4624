/** How a part speaks to operators: what happened, with what belongs to it; an `error` among that is cleaned by the log. */
export type Report = (level: 'info' | 'warn' | 'error', message: string, detail?: Record<string, unknown>) => void;

/**
 * How a component reports to the operator: a message with details; the log strips user data from a detail named
 * `error`.
 */
export type Report = (level: 'info' | 'warn' | 'error', message: string, detail?: Record<string, unknown>) => void;

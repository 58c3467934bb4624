/**
 * The function with which a component reports to the operator. It takes a message and details; the log strips user data
 * from a detail named `error`.
 */
export type Report = (level: 'info' | 'warn' | 'error', message: string, detail?: Record<string, unknown>) => void;

/**
 * The shape of a database, as far as schema.prisma can express it. Lists are sorted by name, so that two shapes are the
 * same exactly when they are deeply equal.
 */
export type Shape = { enums: Record<string, string[]>; tables: Record<string, Table> };

/** `keys` are the primary key, unique and other indexes and foreign keys, each as one line under its name. */
export type Table = { columns: Record<string, Column>; keys: Record<string, string> };

/** `type` as PostgreSQL writes it; `default` without casts and quotes, `identity` for a generated number. */
export type Column = { type: string; isNullable: boolean; default: string | null };

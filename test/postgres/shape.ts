/**
 * The shape of a database, as far as schema.prisma can express it. Lists are sorted by name, so two shapes are the same
 * exactly when they are deeply equal.
 */
export type Shape = { enums: Record<string, string[]>; tables: Record<string, Table> };

/**
 * `keys` contains the primary key, the unique and other indexes, and the foreign keys, each as one line under its name.
 */
export type Table = { columns: Record<string, Column>; keys: Record<string, string> };

/**
 * `type` is written as PostgreSQL writes it. `default` has no casts or quotes, and is `identity` for a generated
 * number.
 */
export type Column = { type: string; isNullable: boolean; default: string | null };

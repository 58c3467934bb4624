import type { Column, Shape, Table } from './shape.ts';

type Field = { name: string; type: string; rest: string };
type Model = { name: string; table: string; fields: Field[]; attributes: string[] };

const columnTypes: Record<string, string> = {
  BigInt: 'bigint',
  Boolean: 'boolean',
  Bytes: 'bytea',
  Float: 'double precision',
  Int: 'integer',
  Json: 'jsonb',
  String: 'text',
};

/** The SQL names of the values of `onDelete`. */
const actions: Record<string, string> = {
  Cascade: 'cascade',
  NoAction: 'no action',
  Restrict: 'restrict',
  SetDefault: 'set default',
  SetNull: 'set null',
};

/**
 * Returns the structure of the database that the text of schema.prisma describes, with Prisma's default names. Leaves
 * out views.
 */
export function readPrismaSchema(text: string): Shape {
  const blocks = [...text.replaceAll(/^\s*\/\/.*$/gm, '').matchAll(/^(model|view|enum) (\w+) \{\n([^]*?)^\}/gm)];
  const parsed = blocks.map(([, kind, name = '', body = '']) => ({ kind, ...parseBlock(name, body) }));
  const enums = parsed.filter(({ kind }) => kind === 'enum');
  const models = parsed.filter(({ kind }) => kind === 'model');
  const relations = new Set(parsed.filter(({ kind }) => kind !== 'enum').map(({ name }) => name));
  const enumTypes = Object.fromEntries(enums.map((each) => [each.name, each.table]));
  return {
    enums: Object.fromEntries(enums.map(({ table, fields }) => [table, fields.map(({ name }) => name)])),
    tables: Object.fromEntries(
      models.map((model) => [model.table, describeTable(model, { models, relations, enumTypes })]),
    ),
  };
}

function parseBlock(name: string, body: string): Model {
  const lines = body
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const attributes = lines.filter((line) => line.startsWith('@@'));
  const fields = lines
    .filter((line) => !line.startsWith('@@'))
    .map((line) => {
      const [, field = '', type = '', rest = ''] = /^(\w+)(?:\s+(\S+))?\s*(.*)$/.exec(line) ?? [];
      return { name: field, type, rest };
    });
  const table = /^@@map\("(\w+)"\)$/m.exec(attributes.join('\n'))?.[1] ?? name;
  return { name, table, fields, attributes };
}

function describeTable(
  model: Model,
  { models, relations, enumTypes }: { models: Model[]; relations: Set<string>; enumTypes: Record<string, string> },
): Table {
  const isRelation = ({ type }: Field) => relations.has(type.replace(/[?[\]]+$/, ''));
  const columns = model.fields.filter((field) => !isRelation(field));
  return {
    columns: Object.fromEntries(columns.map((field) => [columnOf(field), describeColumn(field, enumTypes)])),
    keys: Object.fromEntries([...indexKeys(model), ...relationKeys(model, models)]),
  };
}

const columnOf = ({ name, rest }: Field) => /@map\("(\w+)"\)/.exec(rest)?.[1] ?? name;

function describeColumn({ type, rest }: Field, enumTypes: Record<string, string>): Column {
  const base = type.replace(/[?[\]]+$/, '');
  return {
    type: columnType(base, rest, enumTypes) + (type.endsWith('[]') ? '[]' : ''),
    isNullable: type.endsWith('?'),
    default: columnDefault(rest),
  };
}

function columnType(base: string, rest: string, enumTypes: Record<string, string>): string {
  const precision = /@db\.Timestamptz\((\d)\)/.exec(rest)?.[1];
  if (precision !== undefined) return `timestamp(${precision}) with time zone`;
  if (rest.includes('@db.Uuid')) return 'uuid';
  const known = /^Unsupported\("(.+)"\)$/.exec(base)?.[1] ?? columnTypes[base] ?? enumTypes[base];
  if (known === undefined || rest.includes('@db.')) throw new Error(`this test does not know the type ${base} ${rest}`);
  return known;
}

function columnDefault(rest: string): string | null {
  const expression = /@default\(dbgenerated\("((?:[^"\\]|\\.)+)"\)\)/.exec(rest)?.[1];
  if (expression !== undefined) return expression.replaceAll('\\', '');
  const value = /@default\(("[^"]*"|\w+\(\)|[\w.-]+)\)/.exec(rest)?.[1]?.replaceAll('"', '') ?? null;
  return value === 'autoincrement()' ? 'identity' : value;
}

type Key = [name: string, text: string];

/** Returns the keys of one field (`@id`) and of several fields (`@@id([a, b])`). */
function indexKeys(model: Model): Key[] {
  const ofFields = model.fields.flatMap(({ name, rest }) =>
    [...rest.matchAll(/@(id|unique)\b/g)].map(([, kind]) => `@@${kind}([${name}])`),
  );
  return [...ofFields, ...model.attributes].flatMap((attribute): Key[] => {
    const [, kind, list = ''] = /^@@(id|unique|index)\(\[([^\]]+)\]/.exec(attribute) ?? [];
    const columns = columnNames(model, list);
    const place = `${model.table}_${columns.join('_')}`;
    const name = /map: "(\w+)"/.exec(attribute)?.[1];
    if (kind === 'id') return [[name ?? `${model.table}_pkey`, `primary key (${columns.join(', ')})`]];
    if (kind === 'unique') return [[name ?? `${place}_key`, `unique (${columns.join(', ')})`]];
    return kind === 'index' ? [[name ?? `${place}_idx`, `index (${columns.join(', ')})`]] : [];
  });
}

function relationKeys(model: Model, models: Model[]): Key[] {
  return model.fields.flatMap(({ type, rest }): Key[] => {
    const [, own = '', others = ''] = /fields: \[([^\]]+)\], references: \[([^\]]+)\]/.exec(rest) ?? [];
    const target = models.find(({ name }) => name === type.replace('?', ''));
    if (own === '' || target === undefined) return [];
    const columns = columnNames(model, own);
    const onDelete = actions[/onDelete: (\w+)/.exec(rest)?.[1] ?? (type.endsWith('?') ? 'SetNull' : 'Restrict')];
    const onUpdate = actions[/onUpdate: (\w+)/.exec(rest)?.[1] ?? 'Cascade'];
    const references = `references ${target.table} (${columnNames(target, others).join(', ')})`;
    return [
      [
        `${model.table}_${columns.join('_')}_fkey`,
        `(${columns.join(', ')}) ${references} on delete ${onDelete} on update ${onUpdate}`,
      ],
    ];
  });
}

/** Returns the columns of a list of fields, e.g. `chatId, seq`. */
function columnNames({ fields }: Model, list: string): string[] {
  return list.split(',').flatMap((each) => fields.filter(({ name }) => name === each.trim()).map(columnOf));
}

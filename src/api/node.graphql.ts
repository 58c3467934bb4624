import { brandWithType } from '@pothos/core';
import { parseId } from '../core/id.ts';
import { InvalidInput } from '../errors.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { findNodeLoader } from './node.ts';

/** The maximum number of ids that one query may ask for. */
const maxNodes = 100;

const NodeRef = builder.nodeInterfaceRef();

builder.queryFields((t) => ({
  node: t.field({
    type: NodeRef,
    nullable: true,
    args: { id: t.arg.id({ required: true }) },
    resolve: async (_, { id }, context) => (await loadNodes(context, [readId(id, ['id'])]))[0] ?? null,
  }),
  nodes: t.field({
    type: [NodeRef],
    nullable: { list: false, items: true },
    complexity: ({ ids }) => ({ field: 1, multiplier: Math.max(1, ids.length) }),
    args: { ids: t.arg.idList({ required: true }) },
    resolve: (_, { ids }, context) => {
      if (ids.length > maxNodes)
        throw new InvalidInput([{ path: ['ids'], code: 'TOO_MANY', message: `must contain at most ${maxNodes} ids` }]);
      return loadNodes(
        context,
        ids.map((id, index) => readId(id, ['ids', String(index)])),
      );
    },
  }),
}));

function readId(id: string, path: string[]): { type: string; key: string } {
  const parsed = parseId(id);
  if (parsed === null) throw new InvalidInput([{ path, code: 'MALFORMED', message: 'is not an id' }]);
  return parsed;
}

/** Loads the nodes with one call per type, regardless of the number of ids. */
async function loadNodes(context: Context, ids: { type: string; key: string }[]): Promise<(object | null)[]> {
  if (context.asker() === null) return ids.map(() => null);
  const found = new Map<string, ReadonlyMap<string, object>>();
  await Promise.all(
    [...new Set(ids.map(({ type }) => type))].map(async (type) => {
      const loader = findNodeLoader(type);
      const keys = new Set(ids.filter((id) => id.type === type).map(({ key }) => key));
      const whole = [...keys].filter((key) => key.split('_').length === loader?.keyParts);
      if (whole.length > 0) found.set(type, (await loader?.load(context, whole)) ?? new Map());
    }),
  );
  return ids.map(({ type, key }) => {
    const row = found.get(type)?.get(key);
    if (row === undefined) return null;
    brandWithType(row, type as never);
    return row;
  });
}

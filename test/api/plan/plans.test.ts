import { getOperationAST, parse } from 'graphql';
import { expect, test } from 'vitest';
import { Plans } from '../../../src/api/plan/plans.ts';
import { schema } from '../../../src/edges.ts';

function prepare(source: string) {
  const document = parse(source);
  const operation = getOperationAST(document);
  if (operation == null) throw new Error('no operation');
  return { document, operation };
}

test('an operation has one plan, and another for each combination of the variables in its directives', () => {
  const plans = new Plans();
  const operation = prepare(
    `query ($n: Boolean!, $id: ID!) { chat(id: $id) { id name @include(if: $n) } ...T @skip(if: $n) }
    fragment T on Query { api { level } }`,
  );
  const find = (variables: Record<string, unknown>) => plans.find(schema, operation, variables);
  const withName = find({ n: true, id: '1' });
  expect(withName?.root.map(({ key }) => key)).toEqual(['chat']);
  expect(find({ n: true, id: '2' })).toBe(withName);
  expect(find({ n: false, id: '1' })?.root.map(({ key }) => key)).toEqual(['chat', 'api']);
});

test('an operation with too many conditions, or with a key that sets a prototype, has no plan', () => {
  const plans = new Plans();
  const many = Array.from({ length: 7 }, (_, index) => index);
  const operation = prepare(
    `query (${many.map((n) => `$v${n}: Boolean!`).join()}) { ${many.map((n) => `a${n}: __typename @skip(if: $v${n})`).join(' ')} }`,
  );
  const variables = Object.fromEntries(many.map((n) => [`v${n}`, false]));
  expect(plans.find(schema, operation, variables)).toBeNull();
  expect(plans.find(schema, prepare('{ __proto__: __typename }'), {})).toBeNull();
});

test('plans have a bounded number of fields: those that have not been used for longest are dropped', () => {
  const plans = new Plans(50);
  const operations = Array.from({ length: 40 }, (_, n) => prepare(`{ a${n}: api { level } b: api { level } }`));
  const first = operations.map((operation) => plans.find(schema, operation, {}));
  expect(plans.fieldCount).toBeLessThanOrEqual(50);
  const newest = operations.at(-1);
  if (newest === undefined || operations[0] === undefined) throw new Error('no operations');
  expect(plans.find(schema, newest, {})).toBe(first.at(-1));
  expect(plans.find(schema, operations[0], {})).not.toBe(first[0]);
});

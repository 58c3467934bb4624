import type { CompiledRoute } from './compiled-route.ts';
import type { Problem } from './problem.ts';

/** Names a route's parameters as the client does: the API's own errors name the arguments and fields of the document. */
export function inClientTerms(told: Problem, { inputs }: CompiledRoute): Problem {
  const names = new Map(inputs.map(({ target, name }) => [target, name]));
  const rename = ([first = '', ...rest]: readonly string[]): string[] => {
    const name = names.get(first);
    if (name !== undefined) return [name, ...rest];
    // The fields of an input object are separate parameters.
    return rest.length > 0 && names.has(rest[0] ?? '') ? rename(rest) : [first, ...rest];
  };
  const { fields, taken, ...same } = told;
  const renamed = fields?.map((field) => ({ ...field, path: rename(field.path) }));
  return {
    ...same,
    ...(renamed !== undefined && {
      detail: renamed.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; '),
      fields: renamed,
    }),
    ...(taken !== undefined && { taken: taken.map((each) => names.get(each) ?? each) }),
  };
}

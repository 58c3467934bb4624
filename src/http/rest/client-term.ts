import type { CompiledRoute } from './compiled-route.ts';
import type { Problem } from './problem.ts';

/**
 * Replaces the names in a problem with those of the route's parameters, which the client knows. The API's own errors
 * use the names of the arguments and fields in the document.
 */
export function inClientTerms(told: Problem, { inputs }: CompiledRoute): Problem {
  const names = new Map(inputs.map(({ target, name }) => [target, name]));
  const rename = ([first = '', ...rest]: readonly string[]): string[] => {
    const name = names.get(first);
    if (name !== undefined) return [name, ...rest];
    // Each field of an input object is a separate parameter of the route.
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

/** What routes are about: the headings under which the reference lists them. */
export const tags = ['Account', 'Users', 'Chats', 'Members', 'Messages', 'Files', 'Events'] as const;

/** The HTTP methods of the REST API. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Another name for a variable in the body, with its JSON schema and a function that converts its value. */
export type Alias = {
  variable: string;
  read: (value: unknown) => unknown;
  description: string;
  schema: Readonly<Record<string, unknown>>;
};

/**
 * One route of the REST API: a GraphQL document that is run for it. A variable of the document is a parameter of the
 * path if the path names it; otherwise it is a property of the body (POST, PUT, PATCH) or of the query string.
 */
export type Route = {
  method: Method;
  /** From `/api`, with its parameters in braces: `/api/chats/{chatId}`. */
  path: string;
  /** The route's name in generated clients. */
  id: string;
  tag: (typeof tags)[number];
  /** One line for the reference. */
  summary: string;
  /** The document, without the fragments that it uses (fragment.ts). */
  document: string;
  /** Where the answer is in the data, e.g. `viewer.chats`; '' for all of the data. */
  result: string;
  /** The status on success, 200 by default. 204 has no body. */
  status?: number;
  /** The types that count as success, with the status of each. Any other type is a 404. */
  statuses?: Readonly<Record<string, number>>;
  /** For a list whose pages are read from the end, so that each has its newest entry first. */
  isReversed?: boolean;
  /** The maximum page size, where it is smaller than that of the list. */
  maxLimit?: number;
  /**
   * Properties that are replaced by one of their own properties: `{ viewer: 'user' }` moves `viewer.user` to `user`.
   */
  lift?: Readonly<Record<string, string>>;
  aliases?: Readonly<Record<string, Alias>>;
  /** For a route that needs no token. Wrong credentials are then a 401. */
  isOpen?: boolean;
};

/** What a path leads to: its routes by method, and the values of its parameters. */
export type Match = { routes: ReadonlyMap<string, Route>; parameters: ReadonlyMap<string, string> };

/** One segment of the paths: what follows it, and the routes that end there. */
type Branch = { fixed: Map<string, Branch>; open: { name: string; branch: Branch } | null; routes: Map<string, Route> };

/** Finds routes by their path. A fixed segment has precedence over a parameter. */
export class Router {
  readonly #root = newBranch();

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#add(route);
  }

  /** The routes of a path; null if there are none. The values are still percent-encoded. */
  find(path: string): Match | null {
    const parameters = new Map<string, string>();
    let branch = this.#root;
    for (const segment of path.slice(1).split('/')) {
      const fixed = branch.fixed.get(segment);
      if (fixed !== undefined) {
        branch = fixed;
        continue;
      }
      if (branch.open === null || segment === '') return null;
      parameters.set(branch.open.name, segment);
      branch = branch.open.branch;
    }
    return branch.routes.size === 0 ? null : { routes: branch.routes, parameters };
  }

  #add(route: Route): void {
    let branch = this.#root;
    for (const segment of route.path.slice(1).split('/')) {
      const name = parameterIn(segment);
      branch = name === null ? fixedBranch(branch, segment) : openBranch(branch, name);
    }
    if (branch.routes.has(route.method)) throw new Error(`${route.method} ${route.path} is in the table twice`);
    branch.routes.set(route.method, route);
  }
}

/** The names of the parameters in a route's path. */
export function parametersIn(path: string): string[] {
  return path.split('/').flatMap((segment) => parameterIn(segment) ?? []);
}

function parameterIn(segment: string): string | null {
  return /^\{(\w+)\}$/.exec(segment)?.[1] ?? null;
}

function newBranch(): Branch {
  return { fixed: new Map(), open: null, routes: new Map() };
}

function fixedBranch(branch: Branch, segment: string): Branch {
  const known = branch.fixed.get(segment) ?? newBranch();
  branch.fixed.set(segment, known);
  return known;
}

function openBranch(branch: Branch, name: string): Branch {
  branch.open ??= { name, branch: newBranch() };
  if (branch.open.name !== name)
    throw new Error(`{${name}} has another name, {${branch.open.name}}, in the same place`);
  return branch.open.branch;
}

/** The topics of routes, which are the headings of the reference. */
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
 * A route of the REST API, with the GraphQL document that is run for it. If the path of the route has a parameter with
 * the name of a variable, the parameter provides the variable's value. Otherwise, a property of the body (POST, PUT,
 * PATCH) or of the query string provides it.
 */
export type Route = {
  method: Method;
  /** The path from `/api` on, with its parameters in braces: `/api/chats/{chatId}`. */
  path: string;
  /** The route's name in generated clients. */
  id: string;
  tag: (typeof tags)[number];
  /** A one-line description for the reference. */
  summary: string;
  /** The document, without the definitions of the fragments that it uses (fragment.ts). */
  document: string;
  /** The path to the result in the data, e.g. `viewer.chats`; '' for all of the data. */
  result: string;
  /** The status on success; the default is 200. A response with 204 has no body. */
  status?: number;
  /** The types that represent success, with the status for each. For any other type, the status is 404. */
  statuses?: Readonly<Record<string, number>>;
  /** Whether pages are read from the end of the list, so that the newest entry comes first on each page. */
  isReversed?: boolean;
  /** The maximum page size, if it is smaller than that of the list. */
  maxLimit?: number;
  /**
   * Properties that are replaced by one of their own properties: `{ viewer: 'user' }` moves `viewer.user` to `user`.
   */
  lift?: Readonly<Record<string, string>>;
  aliases?: Readonly<Record<string, Alias>>;
  /** Whether the route requires no token. If it requires none, invalid credentials in a request cause a 401. */
  isOpen?: boolean;
};

/** The result of looking up a path: its routes by method, and the values of its parameters. */
export type Match = { routes: ReadonlyMap<string, Route>; parameters: ReadonlyMap<string, string> };

/** A node in the tree of path segments, with the branches that follow the segment and the routes that end there. */
type Branch = { fixed: Map<string, Branch>; open: { name: string; branch: Branch } | null; routes: Map<string, Route> };

/** Finds routes by path. A fixed segment takes precedence over a parameter. */
export class Router {
  readonly #root = newBranch();

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#add(route);
  }

  /**
   * Returns the routes for a path, or null if there are none. The values of the parameters are still percent-encoded.
   */
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

/** Returns the names of the parameters in the path of a route. */
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

import type { Session } from './session.ts';

/** The links to a file. `small` and `large` are the links to its thumbnails, or null if it has none. */
export interface FileLink {
  readonly url: string;
  readonly small: string | null;
  readonly large: string | null;
}

const linksDocument =
  'query($ids:[ID!]!){nodes(ids:$ids){...on File{id url small:thumbnailUrl(size:SMALL)large:thumbnailUrl(size:LARGE)}}}';

const idsPerQuery = 50;

/** An app shows fewer links than this at the same time. Each link takes less than one kilobyte. */
const maxKnown = 2_000;

/** Links work for at least 23 hours. */
const lifetimeMs = 22 * 3_600_000;

/**
 * Caches links until they expire. Before it fetches more links, it drops all but the `maxKnown` most recently used
 * ones.
 */
export class FileLinks {
  readonly #session: Session;
  readonly #baseUrl: string;
  readonly #wanted = new Set<string>();
  #loading: Promise<void> | null = null;
  /** The most recently used links come last. */
  readonly #known = new Map<string, { link: FileLink; until: number }>();

  constructor(session: Session, baseUrl: string) {
    this.#session = session;
    this.#baseUrl = baseUrl;
  }

  /** Returns the links by file id. Omits files that the user cannot see. */
  async find(ids: readonly string[]): Promise<ReadonlyMap<string, FileLink>> {
    const missing = ids.filter((id) => (this.#known.get(id)?.until ?? 0) < Date.now());
    if (missing.length > 0) await this.#want(missing);
    return this.peek(ids);
  }

  /** Returns those links that are already in the cache, without asking the server. */
  peek(ids: readonly string[]): ReadonlyMap<string, FileLink> {
    const links = new Map<string, FileLink>();
    for (const id of ids) {
      const known = this.#known.get(id);
      if (known === undefined || known.until < Date.now()) continue;
      this.#known.delete(id);
      this.#known.set(id, known);
      links.set(id, known.link);
    }
    return links;
  }

  /** Combines requests, so that the links that many components of an app need at the same time are fetched together. */
  #want(ids: readonly string[]): Promise<void> {
    this.#trim();
    for (const id of ids) this.#wanted.add(id);
    return (this.#loading ??= new Promise((resolve) => setTimeout(resolve)).then(async () => {
      const wanted = [...this.#wanted];
      this.#wanted.clear();
      this.#loading = null;
      for (let start = 0; start < wanted.length; start += idsPerQuery) {
        await this.#load(wanted.slice(start, start + idsPerQuery));
      }
    }));
  }

  /** Runs before links are added, so that a request for more than `maxKnown` links still receives all of them. */
  #trim(): void {
    for (const id of this.#known.keys()) {
      if (this.#known.size <= maxKnown) return;
      this.#known.delete(id);
    }
  }

  async #load(ids: readonly string[]): Promise<void> {
    type Data = { nodes: ({ id: string; url: string; small: string | null; large: string | null } | null)[] };
    const { nodes } = await this.#session.query<Data>(linksDocument, { ids });
    const absolute = (path: string) => new URL(path, this.#baseUrl).href;
    for (const node of nodes) {
      if (node === null) continue;
      const { id, url, small, large } = node;
      const link = { url: absolute(url), small: small && absolute(small), large: large && absolute(large) };
      this.#known.set(id, { link, until: Date.now() + lifetimeMs });
    }
  }
}

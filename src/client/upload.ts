import { ParleyError, Unreachable } from './error.ts';
import { reach, type Server } from './request.ts';
import type { Session } from './session.ts';
import type { FileInfo } from './state.ts';
import { backOff, Pause } from './timer.ts';

/** The number of bytes per request. Progress is reported after each request. */
const pieceBytes = 1_048_576;

/** The options for uploading one file. */
export type UploadOptions = {
  /** The default is the file's own name, or 'file' if it has none. */
  name?: string;
  onProgress?: (sentBytes: number, totalBytes: number) => void;
};

/** An upload that is in progress. */
export interface Upload {
  /**
   * Resolves with the file once the server has all of it. Rejects with a ParleyError if the upload is refused or
   * cancelled.
   */
  readonly done: Promise<FileInfo>;
  /** Stops sending after the current piece, until `resume` is called. */
  pause(): void;
  resume(): void;
  /** Cancels the upload, and deletes the part that the server already has. */
  cancel(): void;
}

/**
 * Uploads a file in pieces. When the network comes back, the upload automatically resumes where it stopped.
 * https://tus.io/protocols/resumable-upload
 */
export function startUpload(server: Server, session: Session, file: Blob, options: UploadOptions = {}): Upload {
  const upload = new TusUpload(server, session, file, options);
  return {
    done: upload.run(),
    pause: () => upload.pause(),
    resume: () => upload.resume(),
    cancel: () => upload.cancel(),
  };
}

class TusUpload {
  readonly #server: Server;
  readonly #session: Session;
  readonly #file: Blob;
  readonly #options: UploadOptions;
  #url: string | null = null;
  #isPaused = false;
  #isCancelled = false;
  #wake = new Pause();
  #resumed: (() => void) | null = null;

  constructor(...[server, session, file, options]: Parameters<typeof startUpload>) {
    [this.#server, this.#session, this.#file, this.#options] = [server, session, file, options ?? {}];
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#resumed?.();
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#wake.end();
    this.resume();
  }

  async run(): Promise<FileInfo> {
    let [offset, failures]: [number | null, number] = [0, 0];
    for (;;) {
      if (this.#isPaused) await new Promise<void>((resolve) => (this.#resumed = resolve));
      try {
        if (this.#isCancelled) throw await this.#giveUp();
        this.#url ??= await this.#create();
        offset ??= await this.#offset(this.#url);
        this.#options.onProgress?.(offset, this.#file.size);
        if (offset === this.#file.size) return await this.#result(this.#url);
        offset = await this.#send(this.#url, offset);
        failures = 0;
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        // The client does not know how much has arrived.
        offset = null;
        failures += 1;
        await this.#wake.wait(backOff(failures));
      }
    }
  }

  async #create(): Promise<string> {
    const name = this.#options.name ?? (this.#file as Blob & { name?: string }).name ?? 'file';
    const response = await this.#request('POST', '/api/upload/tus', {
      headers: { 'upload-length': String(this.#file.size), 'upload-metadata': `filename ${toBase64(name)}` },
    });
    const location = response.headers.get('location');
    if (location === null) throw new Unreachable('The upload has no address.');
    return new URL(location, `${this.#server.url}/`).href;
  }

  async #offset(url: string): Promise<number> {
    return offsetIn(await this.#request('HEAD', url));
  }

  async #send(url: string, offset: number): Promise<number> {
    const headers = { 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' };
    const body = this.#file.slice(offset, offset + pieceBytes);
    return offsetIn(await this.#request('PATCH', url, { headers, body }));
  }

  async #result(url: string): Promise<FileInfo> {
    const { files } = await reach(async () => (await this.#request('GET', url)).json());
    return files[0];
  }

  async #giveUp(): Promise<ParleyError> {
    if (this.#url !== null) await this.#request('DELETE', this.#url).catch(() => {});
    return new ParleyError('CANCELLED', 'The upload was cancelled.');
  }

  /** Throws Unreachable if the request is worth retrying, and a ParleyError otherwise. */
  async #request(
    method: string,
    path: string,
    { headers, body }: { headers?: Record<string, string>; body?: Blob } = {},
  ): Promise<Response> {
    const { url, fetch } = this.#server;
    let token = await this.#session.token();
    for (let attempt = 0; ; attempt += 1) {
      const authorization = `Bearer ${token}`;
      const init = { method, headers: { 'tus-resumable': '1.0.0', authorization, ...headers }, body: body ?? null };
      const response = await reach(() => fetch(path.startsWith('/') ? url + path : path, init));
      if (response.ok) return response;
      if (response.status === 401 && attempt === 0) {
        token = await this.#session.token(token);
        continue;
      }
      // 409: the server expects a different offset. 423: an earlier request still has the upload locked.
      if ([409, 423, 429].includes(response.status) || response.status >= 500) throw new Unreachable(method);
      const problem = await response.json().catch(() => ({}));
      throw new ParleyError(
        problem.code ?? 'BAD_REQUEST',
        problem.detail ?? problem.title ?? `status ${response.status}`,
      );
    }
  }
}

function offsetIn(response: Response): number {
  const offset = response.headers.get('upload-offset');
  if (offset === null) throw new Unreachable('The server did not say how much it has.');
  return Number(offset);
}

function toBase64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

import type { Client, FileInfo, Message, Upload } from 'parley-client';

/** A file that is being uploaded, or that has been uploaded but not sent yet. */
export type DraftFile = {
  key: number;
  name: string;
  size: number;
  sentBytes: number;
  isPaused: boolean;
  /** The object URL of a picture, or null for other files. */
  preview: string | null;
  /** Null while the file is being uploaded. */
  file: FileInfo | null;
};

/** The parts of an unsent message other than its text. The client package stores the text. */
export type Draft = { readonly files: readonly DraftFile[]; readonly replyTo: Message | null };

const empty: Draft = { files: [], replyTo: null };

/**
 * The parts of the user's unsent messages other than their texts, by chat. Files continue to upload no matter which
 * chat is shown.
 */
export class DraftStore {
  readonly #client: Client;
  readonly #onFailure: (name: string, error: unknown) => void;
  readonly #listeners = new Set<() => void>();
  /** Uploads by the keys of their files. An upload is null until the code for uploads is loaded. */
  readonly #running = new Map<number, Upload | null>();
  readonly #drafts = new Map<string, Draft>();
  #next = 0;

  /** `onFailure` is called with the name of each file that could not be uploaded, and the error. */
  constructor(client: Client, onFailure: (name: string, error: unknown) => void) {
    this.#client = client;
    this.#onFailure = onFailure;
  }

  /** Calls the listener after each change. Returns a function that unsubscribes the listener. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Returns the draft in a chat, which is the same object until the draft changes. */
  of(chatId: string): Draft {
    return this.#drafts.get(chatId) ?? empty;
  }

  /** Chooses the message to reply to; null means no message. */
  reply(chatId: string, replyTo: Message | null): void {
    this.#change(chatId, { replyTo });
  }

  /** Starts uploading files. */
  add(chatId: string, files: readonly File[]): void {
    const added = files.map((file) => ({ file, draft: toDraft(file, this.#next++) }));
    for (const { draft } of added) this.#running.set(draft.key, null);
    this.#change(chatId, { files: [...this.of(chatId).files, ...added.map(({ draft }) => draft)] });
    for (const { file, draft } of added) void this.#upload(chatId, file, draft.key);
  }

  /** Removes a file from the draft and cancels its upload. */
  remove(chatId: string, key: number): void {
    this.#running.get(key)?.cancel();
    this.#running.delete(key);
    this.#change(chatId, { files: this.of(chatId).files.filter((file) => file.key !== key || release(file)) });
  }

  /** Pauses or resumes an upload. */
  pause(chatId: string, key: number, isPaused: boolean): void {
    const upload = this.#running.get(key);
    if (isPaused) upload?.pause();
    else upload?.resume();
    this.#patch(chatId, key, { isPaused });
  }

  /** Discards a draft that has been sent. */
  clear(chatId: string): void {
    const { files } = this.of(chatId);
    for (const { key } of files) this.#running.delete(key);
    this.#change(chatId, { files: files.filter(release), replyTo: null });
  }

  /** Discards the drafts of all chats for which `isKept` returns false. */
  keep(isKept: (chatId: string) => boolean): void {
    for (const [chatId, { files }] of this.#drafts) {
      if (isKept(chatId)) continue;
      for (const { key } of files) this.remove(chatId, key);
      this.clear(chatId);
    }
  }

  async #upload(chatId: string, file: File, key: number): Promise<void> {
    try {
      const onProgress = (sentBytes: number) => this.#patch(chatId, key, { sentBytes });
      const upload = await this.#client.upload(file, { onProgress });
      if (this.#running.has(key)) this.#running.set(key, upload);
      else upload.cancel();
      this.#patch(chatId, key, { file: await upload.done });
    } catch (error) {
      // The upload also fails if the user has removed the file.
      if (!this.#running.has(key)) return;
      this.#onFailure(file.name, error);
      this.remove(chatId, key);
    }
  }

  #patch(chatId: string, key: number, patch: Partial<DraftFile>): void {
    this.#change(chatId, {
      files: this.of(chatId).files.map((file) => (file.key === key ? { ...file, ...patch } : file)),
    });
  }

  #change(chatId: string, patch: Partial<Draft>): void {
    const draft = { ...this.of(chatId), ...patch };
    if (draft.files.length === 0 && draft.replyTo === null) this.#drafts.delete(chatId);
    else this.#drafts.set(chatId, draft);
    for (const listener of this.#listeners) listener();
  }
}

function toDraft(file: File, key: number): DraftFile {
  const { name, size, type } = file;
  const preview = type.startsWith('image/') ? URL.createObjectURL(file) : null;
  return { key, name, size, sentBytes: 0, isPaused: false, preview, file: null };
}

/** Frees the memory that the browser uses for the preview. Always returns false, so that it can be used in a filter. */
function release({ preview }: DraftFile): boolean {
  if (preview) URL.revokeObjectURL(preview);
  return false;
}

import { useClient } from 'parley-client/react';
import type { FileInfo, Upload } from 'parley-client';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { describeFailure } from '../failure.ts';
import { useNotice } from '../notice.tsx';

/** A file that is on its way to the server, or there and not sent yet. */
export type Draft = {
  key: number;
  name: string;
  size: number;
  sentBytes: number;
  isPaused: boolean;
  /** Where the browser has the picture; null for other files. */
  preview: string | null;
  /** Null while it is on its way. */
  file: FileInfo | null;
};

/** The files of a message, and what can be done with them until it is sent. */
export type Uploads = {
  drafts: readonly Draft[];
  add: (files: readonly File[]) => void;
  remove: (key: number) => void;
  pause: (key: number, isPaused: boolean) => void;
  /** Forgets the files, because they are sent. */
  clear: () => void;
};

const maxFiles = 10;

/** The files of the message that the user is writing. */
export function useUploads(): Uploads {
  const client = useClient();
  const notify = useNotice();
  const [drafts, setDrafts] = useState<readonly Draft[]>([]);
  // Null until the code for uploads is loaded.
  const running = useRef(new Map<number, Upload | null>());
  const next = useRef(0);
  const change = useCallback(
    (key: number, patch: Partial<Draft>) =>
      setDrafts((all) => all.map((draft) => (draft.key === key ? { ...draft, ...patch } : draft))),
    [],
  );
  const drop = useCallback((key: number) => {
    running.current.delete(key);
    setDrafts((all) => all.filter((draft) => draft.key !== key || release(draft)));
  }, []);
  const start = useCallback(
    async (file: File, key: number) => {
      try {
        const upload = await client.upload(file, { onProgress: (sentBytes) => change(key, { sentBytes }) });
        if (running.current.has(key)) running.current.set(key, upload);
        else upload.cancel();
        change(key, { file: await upload.done });
      } catch (error) {
        if (running.current.has(key)) notify(`${file.name}: ${describeFailure(error)}`, true);
        drop(key);
      }
    },
    [client, change, drop, notify],
  );
  useEffect(() => {
    const { current: uploads } = running;
    // Nothing can send the files of a chat that is no longer shown.
    return () => {
      for (const upload of uploads.values()) upload?.cancel();
      uploads.clear();
    };
  }, []);
  return useMemo(
    () => ({
      drafts,
      add: (files) => {
        const added = files.slice(0, maxFiles - drafts.length).map((file) => ({ file, key: next.current++ }));
        if (added.length < files.length) notify(`A message has at most ${maxFiles} files.`, true);
        for (const { key } of added) running.current.set(key, null);
        setDrafts((all) => [...all, ...added.map(({ file, key }) => toDraft(file, key))]);
        for (const { file, key } of added) void start(file, key);
      },
      remove: (key) => {
        const upload = running.current.get(key);
        drop(key);
        upload?.cancel();
      },
      pause: (key, isPaused) => {
        const upload = running.current.get(key);
        if (isPaused) upload?.pause();
        else upload?.resume();
        change(key, { isPaused });
      },
      clear: () => {
        running.current.clear();
        setDrafts((all) => all.filter(release));
      },
    }),
    [drafts, start, drop, change, notify],
  );
}

function toDraft(file: File, key: number): Draft {
  const { name, size, type } = file;
  const preview = type.startsWith('image/') ? URL.createObjectURL(file) : null;
  return { key, name, size, sentBytes: 0, isPaused: false, preview, file: null };
}

/** Gives the browser its memory back. Always false, for use in a filter. */
function release({ preview }: Draft): boolean {
  if (preview) URL.revokeObjectURL(preview);
  return false;
}

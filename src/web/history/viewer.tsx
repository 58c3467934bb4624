import { useFileLinks } from 'parley-client/react';
import type { FileInfo } from 'parley-client';
import { useLayoutEffect, useMemo, useRef, useState } from 'react';
import { Icon } from '../icon.tsx';

/** Shows pictures that fill the whole window. The arrow keys move between them. */
export function Viewer({ files, first, onClose }: { files: readonly FileInfo[]; first: number; onClose: () => void }) {
  const ref = useRef<HTMLDialogElement>(null);
  const [index, setIndex] = useState(first);
  const links = useFileLinks(useMemo(() => files.map(({ id }) => id), [files]));
  // Not useEffect, because a dialog that has left the page can no longer return the focus.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  const file = files[index];
  if (file === undefined) return null;
  const url = links.get(file.id)?.url;
  const move = (by: number) => setIndex((index + by + files.length) % files.length);
  return (
    <dialog
      ref={ref}
      className="viewer"
      aria-label={file.name}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onKeyDown={(event) => {
        if (event.key === 'ArrowRight') move(1);
        if (event.key === 'ArrowLeft') move(-1);
      }}
    >
      <header className="row">
        <span className="grow clip">{file.name}</span>
        {files.length > 1 && (
          <>
            <button className="icon-button" aria-label="Previous picture" onClick={() => move(-1)}>
              <Icon name="back" />
            </button>
            <span className="small">
              {index + 1} of {files.length}
            </span>
            <button className="icon-button flipped" aria-label="Next picture" onClick={() => move(1)}>
              <Icon name="back" />
            </button>
          </>
        )}
        <a className="icon-button" aria-label="Download" href={url} download={file.name}>
          <Icon name="down" />
        </a>
        <button className="icon-button" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div className="viewer-stage" onClick={onClose}>
        {url !== undefined && <img key={file.id} src={url} alt={file.name} />}
      </div>
    </dialog>
  );
}

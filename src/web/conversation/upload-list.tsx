import { Icon } from '../icon.tsx';
import { describeSize } from '../history/picture.tsx';
import type { DraftActions } from './draft.ts';
import type { DraftFile } from './draft-store.ts';

/** The files of the message that is being written, with the progress of their uploads. */
export function UploadList({ draft: { files, pause, remove } }: { draft: DraftActions }) {
  return (
    <ul className="uploads">
      {files.map((file) => (
        <li key={file.key} className="upload">
          {file.preview === null ? <Icon name="file" /> : <img src={file.preview} alt="" />}
          <div className="grow">
            <p className="clip small">{file.name}</p>
            <Progress file={file} />
          </div>
          {file.file === null && (
            <button
              type="button"
              className="icon-button"
              aria-label={`${file.isPaused ? 'Resume' : 'Pause'} ${file.name}`}
              onClick={() => pause(file.key, !file.isPaused)}
            >
              <Icon name={file.isPaused ? 'play' : 'pause'} />
            </button>
          )}
          <button
            type="button"
            className="icon-button"
            aria-label={`Remove ${file.name}`}
            onClick={({ currentTarget }) => {
              // This button, which has the focus, disappears together with the file.
              currentTarget.form?.querySelector('textarea')?.focus();
              remove(file.key);
            }}
          >
            <Icon name="close" />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Progress({ file }: { file: DraftFile }) {
  if (file.file !== null) return <p className="muted small">{describeSize(file.size)}</p>;
  return <progress max={file.size} value={file.sentBytes} aria-label={`Uploading ${file.name}`} />;
}

import { Icon } from '../icon.tsx';
import { describeSize } from '../history/picture.tsx';
import type { Draft, Uploads } from './upload.ts';

/** The files of the message that is being written, with how far they are. */
export function UploadList({ uploads }: { uploads: Uploads }) {
  return (
    <ul className="uploads">
      {uploads.drafts.map((draft) => (
        <li key={draft.key} className="upload">
          {draft.preview === null ? <Icon name="file" /> : <img src={draft.preview} alt="" />}
          <div className="grow">
            <p className="clip small">{draft.name}</p>
            <Progress draft={draft} />
          </div>
          {draft.file === null && (
            <button
              type="button"
              className="icon-button"
              aria-label={`${draft.isPaused ? 'Resume' : 'Pause'} ${draft.name}`}
              onClick={() => uploads.pause(draft.key, !draft.isPaused)}
            >
              <Icon name={draft.isPaused ? 'play' : 'pause'} />
            </button>
          )}
          <button
            type="button"
            className="icon-button"
            aria-label={`Remove ${draft.name}`}
            onClick={() => uploads.remove(draft.key)}
          >
            <Icon name="close" />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Progress({ draft }: { draft: Draft }) {
  if (draft.file !== null) return <p className="muted small">{describeSize(draft.size)}</p>;
  return <progress max={draft.size} value={draft.sentBytes} aria-label={`Uploading ${draft.name}`} />;
}

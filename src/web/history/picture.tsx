import { decode } from 'blurhash';
import { useFileLinks } from 'parley-client/react';
import type { FileInfo } from 'parley-client';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Icon } from '../icon.tsx';
import { useUi } from '../ui.tsx';
import { Viewer } from './viewer.tsx';

/** The files of a message: pictures are shown, and other files are links. */
export function Attachments({ files }: { files: readonly FileInfo[] }) {
  const { showDialog } = useUi();
  const links = useFileLinks(useMemo(() => files.map(({ id }) => id), [files]));
  const pictures = files.filter(isPicture);
  return (
    <div className="attachments">
      {pictures.map((file, index) => (
        <button
          key={file.id}
          className="picture"
          style={sizeOf(file)}
          aria-label={`Open ${file.name}`}
          onClick={() => showDialog(<Viewer files={pictures} first={index} onClose={() => showDialog(null)} />)}
        >
          <Picture file={file} url={links.get(file.id)?.large ?? links.get(file.id)?.url} />
        </button>
      ))}
      {files
        .filter((file) => !isPicture(file))
        .map((file) => (
          <a key={file.id} className="file" href={links.get(file.id)?.url} download={file.name}>
            <Icon name="file" />
            <span className="clip">{file.name}</span>
            <span className="muted small">{describeSize(file.size)}</span>
          </a>
        ))}
    </div>
  );
}

/** A picture, or a blurred preview until the picture is loaded. */
function Picture({ file, url }: { file: FileInfo; url: string | undefined }) {
  const [isLoaded, setLoaded] = useState(false);
  return (
    <>
      {!isLoaded && file.blurhash !== null && <Blur hash={file.blurhash} />}
      {url !== undefined && (
        <img
          src={url}
          alt={file.name}
          className={isLoaded ? 'loaded' : ''}
          decoding="async"
          onLoad={() => setLoaded(true)}
        />
      )}
    </>
  );
}

/** A blurred preview (https://blurha.sh), which consists of a few pixels that the browser enlarges. */
function Blur({ hash }: { hash: string }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = ref.current?.getContext('2d');
    if (!context) return;
    const image = context.createImageData(blurPx, blurPx);
    image.data.set(decode(hash, blurPx, blurPx));
    context.putImageData(image, 0, 0);
  }, [hash]);
  return <canvas ref={ref} width={blurPx} height={blurPx} aria-hidden="true" />;
}

const blurPx = 24;
const maxWidthPx = 420;
const maxHeightPx = 320;

/**
 * Returns the size at which a picture is shown. It is known before the picture is loaded, so that nothing moves when it
 * loads.
 */
function sizeOf({ width, height }: FileInfo): { width: number; aspectRatio: string } {
  const [wide, high] = [width ?? maxWidthPx, height ?? maxHeightPx];
  const scale = Math.min(1, maxWidthPx / wide, maxHeightPx / high);
  return { width: Math.max(48, Math.round(wide * scale)), aspectRatio: `${wide} / ${high}` };
}

/** Whether the file can be shown as a picture. */
function isPicture({ width, contentType }: FileInfo): boolean {
  return width !== null && contentType.startsWith('image/');
}

/** Formats a size in bytes for people to read. */
export function describeSize(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${Math.round(bytes / 1_000)} KB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

import { cleanFileName } from '../file/file-name.ts';

/**
 * File systems allow names of up to 255 bytes. This limit leaves room for the id, and for a suffix such as ` (1)` that
 * a program may add.
 */
const maxNameBytes = 200;
/** Shortening a name keeps an extension of up to this many bytes. */
const maxExtensionBytes = 20;

/**
 * Returns the path of a file in an export: `files/12-notes.txt`. Every system can extract a file with this name, and
 * always inside the export, because the name contains no path, no control characters and nothing that Windows forbids.
 * The id keeps names distinct, even on systems that ignore case, and ensures that no name is a device name such as
 * `NUL`.
 */
export function pathInExport({ id, name }: { id: bigint; name: string }): string {
  const allowed = cleanFileName(name)
    .replace(/[<>:"|?*]/g, '_')
    .replace(/[. ]+$/, '');
  return `files/${id}-${shorten(allowed === '' ? 'file' : allowed)}`;
}

function shorten(name: string): string {
  if (Buffer.byteLength(name) <= maxNameBytes) return name;
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 && Buffer.byteLength(name.slice(dot)) <= maxExtensionBytes ? name.slice(dot) : '';
  let kept = '';
  let left = maxNameBytes - Buffer.byteLength(extension);
  for (const character of name) {
    left -= Buffer.byteLength(character);
    if (left < 0) break;
    kept += character;
  }
  return kept.trimEnd() + extension;
}

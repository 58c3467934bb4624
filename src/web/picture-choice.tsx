import { useRef, type ReactNode } from 'react';

/** The picture of a user or a chat, with buttons for changing and removing it. */
export function PictureChoice({
  hasPicture,
  choose,
  children,
}: {
  hasPicture: boolean;
  /** Null removes the picture. */
  choose: (picture: File | null) => void;
  children: ReactNode;
}) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <div className="row">
      {children}
      <button type="button" className="button slim" onClick={() => input.current?.click()}>
        Change picture
      </button>
      {hasPicture && (
        <button type="button" className="button slim" onClick={() => choose(null)}>
          Remove
        </button>
      )}
      <input
        ref={input}
        type="file"
        accept="image/*"
        hidden
        onChange={({ target }) => {
          const [picture] = target.files ?? [];
          if (picture !== undefined) choose(picture);
          target.value = '';
        }}
      />
    </div>
  );
}

/** Outlines on a square grid of 24 units. */
const paths = {
  add: 'M12 5v14M5 12h14',
  attach: 'm20 11-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7l-8.5 8.4a1.7 1.7 0 0 1-2.4-2.4L14.5 7',
  back: 'm15 5-7 7 7 7',
  bell: 'M6 16V11a6 6 0 0 1 12 0v5l2 2H4l2-2ZM10 21h4',
  ban: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM5.7 5.7l12.6 12.6',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3 2',
  close: 'm6 6 12 12M18 6 6 18',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  down: 'M12 5v14m-6-6 6 6 6-6',
  edit: 'm4 20 1-4L16.5 4.5a2.1 2.1 0 0 1 3 3L8 19l-4 1Z',
  file: 'M6 3h8l5 5v13H6zM14 3v5h5',
  flag: 'M5 21V4h13l-3 4.5 3 4.5H5',
  group:
    'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14a6.5 6.5 0 0 1 3.5 6',
  hash: 'M9 4 7 20M17 4l-2 16M4.5 9h16M3.5 15h16',
  info: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 11v5M12 8v.01',
  link: 'M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.7 5.7L12 17',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z',
  more: 'M5 11.6a.4.4 0 1 0 0 .8.4.4 0 0 0 0-.8ZM12 11.6a.4.4 0 1 0 0 .8.4.4 0 0 0 0-.8ZM19 11.6a.4.4 0 1 0 0 .8.4.4 0 0 0 0-.8Z',
  pause: 'M9 5v14M15 5v14',
  pin: 'M9 4h6l-.7 6 3.2 3.5h-11L9.7 10 9 4ZM12 13.5V20',
  play: 'm8 5 11 7-11 7V5Z',
  reply: 'm9 6-5 5 5 5M4 11h9a7 7 0 0 1 7 7v1',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM16 16l5 5',
  send: 'm4 4 17 8-17 8 3-8-3-8ZM7 12h14',
  settings:
    'M12 15.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM19 12l2-1.5-2-3.5-2.4 1a7 7 0 0 0-2-1.2L14.2 4h-4.4l-.4 2.8a7 7 0 0 0-2 1.2L5 7 3 10.5 5 12l-2 1.5L5 17l2.4-1a7 7 0 0 0 2 1.2l.4 2.8h4.4l.4-2.8a7 7 0 0 0 2-1.2l2.4 1 2-3.5L19 12Z',
  shield: 'M12 3l8 3v6c0 4.5-3.4 7.8-8 9-4.6-1.2-8-4.5-8-9V6l8-3ZM9 12l2.2 2.2L15.5 10',
  smile: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM8.5 14a4.5 4.5 0 0 0 7 0M9 9.5v.01M15 9.5v.01',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 3v1.5M12 19.5V21M3 12h1.5M19.5 12H21M5.6 5.6l1.1 1.1M17.3 17.3l1.1 1.1M5.6 18.4l1.1-1.1M17.3 6.7l1.1-1.1',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5',
  warning: 'M12 4 2.5 20h19L12 4ZM12 10v4.5M12 17.2v.01',
} as const;

/** The name of an icon. */
export type IconName = keyof typeof paths;

/** An icon next to a text, or instead of a text. It has no accessible name. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

/** The product's logo. */
export function Mark() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <path d="M6 5h20a3 3 0 0 1 3 3v12a3 3 0 0 1-3 3H15l-7 6v-6H6a3 3 0 0 1-3-3V8a3 3 0 0 1 3-3Z" />
    </svg>
  );
}

import { nameOf, useViewer } from 'parley-client/react';
import type { User } from 'parley-client';
import { useRef, useState } from 'react';
import { Avatar } from '../avatar.tsx';
import { Icon } from '../icon.tsx';
import { usePeople } from './people-search.ts';

/** A field that finds people and lets the user pick some of them. */
export function PeoplePicker({ picked, pick }: { picked: readonly User[]; pick: (users: readonly User[]) => void }) {
  const [text, setText] = useState('');
  const field = useRef<HTMLInputElement>(null);
  const viewerId = useViewer()?.user.id;
  const found = usePeople(text).filter(({ id }) => id !== viewerId && !picked.some((user) => user.id === id));
  return (
    <div className="field">
      <label htmlFor="people">People</label>
      {picked.length > 0 && (
        <ul className="picked">
          {picked.map((user) => (
            <li key={user.id}>
              <button
                type="button"
                className="pill"
                aria-label={`Remove ${nameOf(user)}`}
                onClick={() => pick(picked.filter(({ id }) => id !== user.id))}
              >
                {nameOf(user)}
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <input
        ref={field}
        id="people"
        className="input"
        placeholder="Name or username"
        autoComplete="off"
        value={text}
        onChange={({ target }) => setText(target.value)}
      />
      <ul className="found">
        {found.map((user) => (
          <li key={user.id}>
            <button
              type="button"
              className="found-row"
              onClick={() => {
                pick([...picked, user]);
                setText('');
                field.current?.focus();
              }}
            >
              <Avatar user={user} size={30} />
              <span className="clip">{nameOf(user)}</span>
              <span className="muted small clip">@{user.username}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

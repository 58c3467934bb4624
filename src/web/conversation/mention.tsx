import { nameOf, useChat, useClient, useParley } from 'parley-client/react';
import { useId, useState, type KeyboardEvent, type RefObject } from 'react';
import { Avatar } from '../avatar.tsx';
import type { User } from 'parley-client';

/** Matches an unfinished name directly before the caret. */
const unfinished = /(?:^|\s)@([\w.-]*)$/;
const maxChoices = 6;

type Typed = { name: string; end: number };

/** Completes the name of a chat member after the user has typed `@` and the beginning of the name. */
export function useMentions(
  chatId: string,
  {
    text,
    setText,
    field,
  }: { text: string; setText: (text: string) => void; field: RefObject<HTMLTextAreaElement | null> },
) {
  const client = useClient();
  const id = useId();
  const canMentionAll = ['OWNER', 'ADMIN'].includes(useChat(chatId)?.role ?? '');
  // Render again if the members arrive while a name is being typed.
  useParley(({ members }) => members[chatId]);
  const [typed, setTyped] = useState<Typed | null>(null);
  const [index, setIndex] = useState(0);
  const choices = typed === null ? [] : findChoices(client.state, { chatId, name: typed.name, canMentionAll });
  const close = () => setTyped(null);
  const choose = (choice: Choice) => {
    if (typed === null) return;
    const start = typed.end - typed.name.length;
    const inserted = `${choice.name} `;
    setText(`${text.slice(0, start)}${inserted}${text.slice(typed.end)}`);
    close();
    const caret = start + inserted.length;
    // Waits until the new text is in the field.
    requestAnimationFrame(() => field.current?.setSelectionRange(caret, caret));
    field.current?.focus();
  };
  return {
    id,
    choices,
    index,
    choose,
    close,
    /** Call this after the text or the caret has changed. */
    update: ({ value, selectionStart, selectionEnd }: HTMLTextAreaElement) => {
      const name = selectionStart === selectionEnd ? unfinished.exec(value.slice(0, selectionStart))?.[1] : undefined;
      if (name !== undefined && client.state.members[chatId] === undefined) client.loadMembers(chatId).catch(() => {});
      if (name !== typed?.name) setIndex(0);
      setTyped(name === undefined ? null : { name, end: selectionStart });
    },
    /** Handles a key that is meant for the list, and returns whether it was. */
    onKeyDown: (event: KeyboardEvent): boolean => {
      const chosen = choices[index];
      if (chosen === undefined) return false;
      if (event.key === 'ArrowDown') setIndex((index + 1) % choices.length);
      else if (event.key === 'ArrowUp') setIndex((index - 1 + choices.length) % choices.length);
      else if (event.key === 'Enter' || event.key === 'Tab') choose(chosen);
      else if (event.key === 'Escape') close();
      else return false;
      event.preventDefault();
      event.stopPropagation();
      return true;
    },
    fieldProps:
      choices.length === 0
        ? { 'aria-autocomplete': 'list' as const }
        : { 'aria-autocomplete': 'list' as const, 'aria-controls': id, 'aria-activedescendant': `${id}-${index}` },
  };
}

type Choice = { name: string; user: User | null };

function findChoices(
  { members, users, viewer }: ReturnType<typeof useClient>['state'],
  { chatId, name, canMentionAll }: { chatId: string; name: string; canMentionAll: boolean },
): Choice[] {
  const start = name.toLowerCase();
  const fits = (text: string | null | undefined) => text?.toLowerCase().startsWith(start) === true;
  const found = Object.keys(members[chatId] ?? {}).flatMap((id): Choice[] => {
    const user = users[id];
    const isOther = user !== undefined && id !== viewer?.user.id;
    return isOther && (fits(user.username) || fits(user.displayName)) ? [{ name: user.username, user }] : [];
  });
  const everyone = canMentionAll && fits('everyone') ? [{ name: 'everyone', user: null }] : [];
  return [...found.toSorted((one, other) => one.name.localeCompare(other.name)), ...everyone].slice(0, maxChoices);
}

/** The list of names to choose from, above the field. */
export function MentionList({ id, choices, index, choose }: ReturnType<typeof useMentions>) {
  if (choices.length === 0) return null;
  return (
    <ul id={id} role="listbox" aria-label="People to mention" className="mentions">
      {choices.map((choice, place) => (
        <li
          key={choice.name}
          id={`${id}-${place}`}
          role="option"
          aria-selected={place === index}
          // A click would be too late, because the field would already have lost the focus.
          onPointerDown={(event) => {
            event.preventDefault();
            choose(choice);
          }}
        >
          {choice.user !== null && <Avatar user={choice.user} size={26} hasDot />}
          <strong className="clip">{choice.user === null ? 'Everyone' : nameOf(choice.user)}</strong>
          <span className="muted clip">@{choice.name}</span>
        </li>
      ))}
    </ul>
  );
}

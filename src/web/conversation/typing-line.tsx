import { nameOf, useTyping } from 'parley-client/react';

/** A line that says who is typing. */
export function TypingLine({ chatId }: { chatId: string }) {
  const names = useTyping(chatId).map(nameOf);
  return (
    <p className="typing muted small">
      {names.length > 0 && (
        <>
          <span className="typing-dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {describe(names)}
        </>
      )}
    </p>
  );
}

function describe(names: readonly string[]): string {
  const [one, other] = names;
  if (names.length === 1) return `${one} is typing`;
  if (names.length === 2) return `${one} and ${other} are typing`;
  return `${names.length} people are typing`;
}

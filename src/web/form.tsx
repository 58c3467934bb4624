import type { ReactNode } from 'react';
import { describeFailure, problemWith } from './failure.ts';

/** A form that the page submits itself. */
export function Form({
  submit,
  className = 'stack',
  children,
}: {
  submit: (form: FormData) => void;
  className?: string;
  children: ReactNode;
}) {
  return (
    <form
      className={className}
      onSubmit={(event) => {
        event.preventDefault();
        submit(new FormData(event.currentTarget));
      }}
    >
      {children}
    </form>
  );
}

/** Shows what failed, unless one of these fields already shows it. */
export function Failure({ error, fields }: { error: unknown; fields: readonly string[] }) {
  if (error === null || fields.some((name) => problemWith(error, name) !== undefined)) return null;
  return (
    <p className="problem-box" role="alert">
      {describeFailure(error)}
    </p>
  );
}

/** Returns the text in a field of a form, or an empty string if there is no such field. */
export function textIn(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === 'string' ? value : '';
}

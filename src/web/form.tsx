import type { ReactNode } from 'react';
import { describeFailure, problemWith } from './failure.ts';

/** A form that the page handles itself. */
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

/** Says what failed, unless it is shown beside one of these fields. */
export function Failure({ error, fields }: { error: unknown; fields: readonly string[] }) {
  if (error === null || fields.some((name) => problemWith(error, name) !== undefined)) return null;
  return (
    <p className="problem-box" role="alert">
      {describeFailure(error)}
    </p>
  );
}

/** The text in a field of a form; empty if there is no such field. */
export function textIn(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === 'string' ? value : '';
}

import { useId, type ComponentProps } from 'react';

/** An input with a label, and a description of the problem with its content. */
export function Field({
  label,
  problem,
  ...input
}: Omit<ComponentProps<'input'>, 'id' | 'className'> & { label: string; problem?: string | undefined }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        required
        {...input}
        id={id}
        className="input"
        aria-invalid={problem !== undefined}
        aria-describedby={problem === undefined ? undefined : `${id}-problem`}
      />
      {problem !== undefined && (
        <p id={`${id}-problem`} className="problem">
          {label} {problem}.
        </p>
      )}
    </div>
  );
}

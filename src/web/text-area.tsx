import { useId, type ComponentProps } from 'react';

/** A multi-line text field with a label. */
export function TextArea({ label, ...area }: Omit<ComponentProps<'textarea'>, 'id' | 'className'> & { label: string }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <textarea rows={3} maxLength={1_000} {...area} id={id} className="input" />
    </div>
  );
}

import { useId, type ComponentProps } from 'react';

/** A drop-down list with a label. `options` maps each value to the text that is shown for it. */
export function Select({
  label,
  options,
  ...select
}: Omit<ComponentProps<'select'>, 'id' | 'className'> & {
  label: string;
  options: Readonly<Record<string, string>>;
}) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select {...select} id={id} className="input">
        {Object.entries(options).map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

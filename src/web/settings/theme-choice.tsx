import { useState } from 'react';
import { Icon, type IconName } from '../icon.tsx';
import { chooseTheme, readTheme, type Theme } from '../theme.ts';

const themes: readonly { theme: Theme; icon: IconName; label: string }[] = [
  { theme: 'system', icon: 'settings', label: 'As the system' },
  { theme: 'light', icon: 'sun', label: 'Light' },
  { theme: 'dark', icon: 'moon', label: 'Dark' },
];

/** The choice between a light theme, a dark theme, and the preference of the system. */
export function ThemeChoice() {
  const [chosen, setChosen] = useState(readTheme);
  return (
    <fieldset className="kinds">
      <legend className="hidden">Appearance</legend>
      {themes.map(({ theme, icon, label }) => (
        <label key={theme} className="kind">
          <input
            type="radio"
            name="theme"
            checked={chosen === theme}
            onChange={() => {
              chooseTheme(theme);
              setChosen(theme);
            }}
          />
          <Icon name={icon} />
          {label}
        </label>
      ))}
    </fieldset>
  );
}

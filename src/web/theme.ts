/** Light, dark, or what the system prefers. */
export type Theme = 'light' | 'dark' | 'system';

const place = 'parley:theme';

/** The theme that the user has chosen. */
export function readTheme(): Theme {
  const theme = localStorage.getItem(place);
  return theme === 'light' || theme === 'dark' ? theme : 'system';
}

/** Shows the theme, from now on and at the next visit. */
export function chooseTheme(theme: Theme): void {
  localStorage.setItem(place, theme);
  applyTheme();
}

/** Shows the theme that the user has chosen. */
export function applyTheme(): void {
  document.documentElement.dataset['theme'] = readTheme();
}

/** Light, dark, or what the system prefers. */
export type Theme = 'light' | 'dark' | 'system';

const place = 'parley:theme';
const yearSeconds = 31_536_000;

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

/** Shows the theme that the user has chosen. The server reads the cookie, so that the page begins with that theme. */
export function applyTheme(): void {
  const theme = readTheme();
  document.documentElement.dataset['theme'] = theme;
  document.cookie = `parley-theme=${theme}; path=/; max-age=${theme === 'system' ? 0 : yearSeconds}; samesite=lax`;
}

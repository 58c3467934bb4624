/** Light, dark, or the preference of the system. */
export type Theme = 'light' | 'dark' | 'system';

const place = 'parley:theme';
const yearSeconds = 31_536_000;

/** Returns the theme that the user has chosen. */
export function readTheme(): Theme {
  const theme = localStorage.getItem(place);
  return theme === 'light' || theme === 'dark' ? theme : 'system';
}

/** Applies a theme now and on later visits. */
export function chooseTheme(theme: Theme): void {
  localStorage.setItem(place, theme);
  applyTheme();
}

/**
 * Applies the theme that the user has chosen. The server reads the cookie, so that the page has this theme from the
 * start.
 */
export function applyTheme(): void {
  const theme = readTheme();
  document.documentElement.dataset['theme'] = theme;
  document.cookie = `parley-theme=${theme}; path=/; max-age=${theme === 'system' ? 0 : yearSeconds}; samesite=lax`;
}

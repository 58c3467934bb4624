import { graphql } from 'parley-client/tada';

/** A user as shown in the staff's lists. */
export const staffUser = graphql(`
  fragment StaffUser on User @_unmask {
    id
    username
    displayName
    kind
    avatar {
      id
    }
  }
`);

/** The error that is returned when a change fails. */
export const failure = graphql('fragment StaffFailure on Error @_unmask { code message }');

/** Converts an enum value of the API to words: `SELF_HARM` becomes `Self harm`. */
export function inWords(word: string): string {
  const words = word.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

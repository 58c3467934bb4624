import { graphql } from 'parley-client/tada';

/** A user as the staff's lists show them. */
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

/** The error when a change fails. */
export const failure = graphql('fragment StaffFailure on Error @_unmask { code message }');

/** An enum value of the API as words: `SELF_HARM` is `Self harm`. */
export function inWords(word: string): string {
  const words = word.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

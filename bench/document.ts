/** The document that every subscriber of every server sends. */
export const subscription = `subscription Follow($after: String) {
  events(after: $after) {
    cursor
    at
    event {
      __typename
      ... on NewMessage {
        message { id seq content sender { username displayName } chat { id } }
      }
      ... on CaughtUp { replayed }
    }
  }
}`;

/** The content of each message: about as long as a line of a real chat. */
export function contentOf(number: number): string {
  return `This is message ${number}, and it says what people say: see you at seven?`;
}

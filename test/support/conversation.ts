import { createGroup } from './chat.ts';
import { signUp, type Answer, type Person, type TestClient } from './client.ts';

/** Two users and the id of their chat. */
export type Conversation = { ada: Person; grace: Person; chatId: string };

/** Signs up two users who start a chat. */
export async function startConversation(server: TestClient): Promise<Conversation> {
  const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
  return { ada, grace, chatId: await createGroup(ada, [grace]) };
}

const sendDocument = `mutation ($chatId: ID!, $content: String!) {
  sendMessage(input: { chatId: $chatId, content: $content }) { ... on Message { seq createdAt } ... on Error { code } }
}`;

/** Sends a message. Returns the whole answer, including errors. */
export const trySend = (by: Person, chatId: string, content: string): Promise<Answer> =>
  by.post(sendDocument, { chatId, content });

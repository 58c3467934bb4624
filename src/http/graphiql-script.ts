type Answer = {
  __typename?: string;
  id?: string;
  accessToken?: string;
  viewer?: { user?: { id?: string; username?: string } };
};

/**
 * Runs in the browser, on GraphiQL's page. Remembers the tokens and ids in responses for all windows of the browser,
 * and inserts them where a later request says `<access token of ada>`. When the tab `Listen` has opened its stream, the
 * function sends a message as Ada, so that a user with a single window sees a message arrive. The page contains the
 * source text of this function, so the function must not use anything outside itself.
 */
export function fillPlaceholders(): void {
  const send = globalThis.fetch;
  const place = 'parley:placeholders';
  const recall = () => new Map<string, string>(JSON.parse(localStorage.getItem(place) ?? '[]'));

  const remember = (answer: Answer | null) => {
    const known = recall();
    const user = answer?.viewer?.user;
    if (answer?.accessToken && user?.username) {
      known.set(`access token of ${user.username}`, answer.accessToken);
      if (user.id) known.set(`user id of ${user.username}`, user.id);
    }
    if (answer?.__typename === 'Chat' && answer.id) known.set('id of the chat', answer.id);
    localStorage.setItem(place, JSON.stringify([...known]));
  };

  const fill = (text: string) => {
    const known = recall();
    return text.replace(/<([^<>]+)>/g, (whole, name: string) => known.get(name) ?? whole);
  };

  /** Sends a message as Ada, if earlier tabs have signed her in and created the chat. */
  const writeAsAda = async () => {
    const known = recall();
    const [token, chatId] = [known.get('access token of ada'), known.get('id of the chat')];
    if (token === undefined || chatId === undefined) return;
    const query = `mutation ($chatId: ID!) {
      sendMessage(input: { chatId: $chatId, content: "Hello, Grace! I arrive live." }) { __typename }
    }`;
    await send('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables: { chatId } }),
    });
  };

  globalThis.fetch = async (input, init) => {
    const filled = { ...init };
    if (typeof init?.body === 'string') filled.body = fill(init.body);
    filled.headers = [...new Headers(init?.headers)].map(([name, value]) => [name, fill(value)]);
    const response = await send(input, filled);
    if (response.headers.get('content-type')?.includes('json')) {
      const { data } = (await response.clone().json()) as { data?: Record<string, Answer | null> | null };
      for (const answer of Object.values(data ?? {})) remember(answer);
    }
    const isListening = response.headers.get('content-type')?.includes('text/event-stream') === true;
    if (isListening && typeof filled.body === 'string' && filled.body.includes('"operationName":"Listen"')) {
      setTimeout(() => void writeAsAda(), 1_500);
    }
    return response;
  };
}

import { pruneEvents } from '../../src/log/retention.ts';
import { createGroup, createChat, insertMessage, keyOf, say } from './chat.ts';
import { ask, signUpAll, type Data, type Person } from './client.ts';
import { differences, leftovers, readTruth, type Truth } from './client-oracle.ts';
import { Device, recordStores, type Trace } from './device.ts';
import { atFileEnd } from './file-end.ts';
import { runServer } from './server-process.ts';
import { startServer, type TestServer } from './server.ts';
import type { Action } from '../../src/client/reducer.ts';

const names = ['ada', 'grace', 'linus', 'barbara'] as const;
const emoji = ['👍', '🎉', '❤️'];
const dayMs = 86_400_000;

/**
 * Returns a source of random numbers from 0 to 1. The same seed always produces the same numbers.
 * https://github.com/bryc/code (mulberry32)
 */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** All actions that were applied to a store, and the result of a fresh query at the end. */
export type Run = { actions: Action[]; truth: Truth };

/**
 * Returns the run of a store whose state matches the result of a fresh query. Returns an empty list for any other
 * store, for example for one whose app was restarted earlier.
 */
function toRun({ store, actions }: Trace, truths: readonly Truth[]): Run[] {
  const truth = truths.find(({ viewer }) => viewer.user.id === store.state.viewer?.user.id);
  return truth === undefined || differences(store.state, truth).length > 0 ? [] : [{ actions, truth }];
}

/** A server to which devices connect. It runs in this process, or in a separate process that can be killed. */
type Node = Pick<TestServer, 'url' | 'sql' | 'ask' | 'close'>;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function describe({ client, sent }: Device): string {
  const { connection, sync } = client.state;
  return JSON.stringify({ connection, sync, waiting: sent.filter(({ outcome }) => outcome === 'waiting') });
}

const refusable = '__typename ... on Error { message }';

/**
 * Four users with six devices on two nodes. The users act at random while their networks, the nodes and the database
 * fail. Afterwards, every device must show exactly what a fresh query returns.
 */
export class ClientModel {
  readonly #random: () => number;
  readonly #recording = recordStores();
  readonly log: string[] = [];
  devices: Device[] = [];
  people: Person[] = [];
  #nodes: Node[] = [];
  #server: TestServer | null = null;
  #routes = [{ url: '' }, { url: '' }];
  #count = 0;

  readonly #hasProcess: boolean;

  /**
   * With `hasProcess`, the second node is a separate process. This process takes seconds to start, and is killed with
   * SIGKILL.
   */
  constructor(seed: number, { hasProcess = false } = {}) {
    this.#random = randomFrom(seed);
    this.#hasProcess = hasProcess;
    atFileEnd(() => this.#recording.end());
  }

  async start(): Promise<void> {
    const first = await startServer();
    this.#server = first;
    this.#nodes = [first, await this.#startSecond()];
    this.#nodes.forEach((node, index) => this.#route(index, node));
    this.people = await signUpAll(first, ...names);
    for (const person of this.people) {
      // Each request goes to a random node.
      person.ask = (document, variables) => this.#node().ask(document, variables, person.token);
    }
    // Everyone stays in this chat, so that all users receive each other's profiles.
    const [ada, ...others] = this.people;
    if (ada === undefined) throw new Error('no users');
    await createGroup(ada, others, 'lobby');
    for (const person of this.people)
      await createGroup(
        person,
        this.people.filter((other) => other !== person),
      );
    this.devices = [...this.people, ...this.people.slice(0, 2)].map(
      (person, index) => new Device(person, this.#routes[index % 2] ?? { url: '' }),
    );
    // A node in a separate process hashes passwords at the usual cost. A user's first sign-in on that node therefore
    // replaces the cheap hash from the test server. A sign-in fails if another sign-in replaces the hash in the
    // meantime.
    const count = this.people.length;
    for (const some of [this.devices.slice(0, count), this.devices.slice(count)]) {
      await Promise.all(some.map((device) => device.open()));
    }
  }

  /** Closes the nodes, which would otherwise run until the test file ends. */
  async close(): Promise<void> {
    this.#recording.end();
    for (const node of this.#nodes.toReversed()) await node.close();
  }

  /**
   * Performs `count` random actions, with system failures between them. The first device of each user stays online, so
   * that it sees every event.
   */
  async act(count: number): Promise<void> {
    for (let number = 0; number < count; number += 1) {
      const size = 1 + Math.floor(this.#random() * 3);
      await Promise.all(Array.from({ length: size }, () => this.#step(this.#actions())));
      if (number % 20 === 10) await this.#step(this.#systemActions());
    }
  }

  /**
   * Performs many kinds of actions while nothing fails, so that no later query can hide an event that a store missed.
   */
  async rehearse(): Promise<void> {
    await this.#settle();
    await this.#first.sql.query('delete from blocks');
    const [ada, grace, linus, barbara] = this.people as [Person, Person, Person, Person];
    const chatId = await createGroup(ada, [grace, linus], 'rehearsal');
    const doomed = await createGroup(ada, [grace, linus, barbara], 'doomed');
    const unread = await createGroup(ada, [grace, linus], 'unread');
    const steady = this.devices.slice(0, 3);
    const isThere = (device: Device) =>
      [chatId, doomed, unread].every((id) => device.client.state.chats[id] !== undefined);
    while (!steady.every(isThere)) await wait(10);
    await Promise.all(
      steady.map(({ client }) => Promise.all([client.loadMessages(chatId), client.loadMembers(chatId)])),
    );
    const ids: string[] = [];
    for (const text of ['one', 'two', 'three @everyone', 'four']) ids.push(await say(grace, chatId, text));
    const [one = '', two = '', three = ''] = ids;
    const change = (by: Person, call: string) => by.ask(`mutation { ${call} { ${refusable} } }`);
    // These changes arrive while a page with the earlier state is still in transit.
    const pages = steady.map((device) => ({ ...device.holdPage(), loading: device.client.loadMessages(chatId) }));
    await Promise.all(pages.map(({ caught }) => caught));
    await change(grace, `editMessage(messageId: "${one}", content: "uno")`);
    await change(grace, `deleteMessage(messageId: "${two}")`);
    const isGone = ({ client }: Device) =>
      client.state.messages[chatId]?.messages.some(({ id, deletedAt }) => id === two && deletedAt !== null) === true;
    while (!steady.every(isGone)) await wait(10);
    for (const { release } of pages) release();
    await Promise.all(pages.map(({ loading }) => loading));
    await change(linus, `addReaction(messageId: "${three}", emoji: "👍")`);
    await change(ada, `addReaction(messageId: "${three}", emoji: "🎉")`);
    await change(linus, `removeReaction(messageId: "${three}", emoji: "👍")`);
    await change(linus, `setNotificationLevel(chatId: "${chatId}", level: MENTIONS)`);
    await change(ada, `updateChat(input: { chatId: "${chatId}", name: "renamed" })`);
    await change(ada, `setMemberRole(chatId: "${chatId}", userId: "${grace.userId}", role: ADMIN)`);
    await change(ada, `addMembers(chatId: "${chatId}", userIds: ["${barbara.userId}"])`);
    await change(grace, 'updateProfile(input: { displayName: "Grace" })');
    await change(ada, `removeMember(chatId: "${chatId}", userId: "${barbara.userId}")`);
    await change(ada, `removeMember(chatId: "${doomed}", userId: "${linus.userId}")`);
    await change(ada, `deleteChat(chatId: "${doomed}")`);
    await say(linus, chatId, 'five');
    const last = await say(grace, chatId, 'six');
    await change(grace, `editMessage(messageId: "${last}", content: "seis")`);
    await change(ada, `addMembers(chatId: "${chatId}", userIds: ["${barbara.userId}"])`);
    await change(ada, `markRead(chatId: "${chatId}", seq: 6)`);
    // No later event of the same kind may follow in this chat, because such an event would hide that a store failed to
    // apply these events.
    const newest = await say(linus, chatId, 'seven');
    await change(linus, `editMessage(messageId: "${newest}", content: "sieben")`);
    // After the first message in a chat, a store requests the counts. It counts the second message itself.
    await say(linus, unread, 'hello');
    const isCounted = ({ client }: Device) =>
      client.state.chats[unread]?.lastSeq === 1 && Object.keys(client.state.sync.stale).length === 0;
    while (!steady.every(isCounted)) await wait(10);
    await say(linus, unread, 'hello @ada and @grace');
    await change(linus, `updateProfile(input: { displayName: "Linus ${this.#text()}" })`);
  }

  /** Lets everything settle, and returns the errors on all devices. */
  async check(): Promise<{ found: string[]; runs: Run[] }> {
    const truths = new Map<Person, Truth>();
    const found: string[] = [];
    await this.#settle();
    for (const person of this.people) truths.set(person, await readTruth(person));
    for (const [index, device] of this.devices.entries()) {
      const truth = truths.get(device.person);
      if (truth === undefined) continue;
      found.push(...differences(device.client.state, truth).map((text) => `device ${index}: ${text}`));
    }
    found.push(...(await this.#wrongWrites()));
    for (const [index, device] of this.devices.entries()) {
      await device.client.stop();
      const truth = truths.get(device.person);
      if (truth !== undefined) found.push(...leftovers(device, truth).map((text) => `device ${index}: ${text}`));
    }
    return { found, runs: this.#recording.traces.flatMap((trace) => toRun(trace, [...truths.values()])) };
  }

  #startSecond(): Promise<Node> {
    return this.#hasProcess ? this.#startProcess() : startServer({ database: this.#first.database });
  }

  async #startProcess(): Promise<Node> {
    const { database, dataDir, jwtKeys, sql } = this.#first;
    const env = { DATABASE_URL: database.url, DATA_DIR: dataDir, JWT_KEYS: jwtKeys, RATE_LIMITS: 'off' };
    const child = runServer(env);
    const url = await child.url;
    const close = async () => {
      child.kill('SIGKILL');
      await child.ended;
    };
    return { url, sql, close, ask: (document, variables, token) => ask(url, document, variables, token) };
  }

  #route(index: number, node: Node): void {
    const route = this.#routes[index];
    if (route !== undefined) route.url = node.url;
    this.#nodes[index] = node;
  }

  #node(): Node {
    return this.#pick(this.#nodes);
  }

  #pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new Error('there is nothing to pick from');
    return item;
  }

  async #step(actions: [string, () => Promise<unknown>][]): Promise<void> {
    const [action, run] = this.#pick(actions);
    this.log.push(action);
    try {
      await run();
    } catch (error) {
      // A node that is being restarted refuses requests.
      this.log.push(`${action} failed: ${String(error)}`);
    }
  }

  /** The possible actions. An action that is listed several times is correspondingly more likely. */
  #actions(): [string, () => Promise<unknown>][] {
    const person = this.#pick(this.people);
    const device = this.#pick(this.devices);
    const restless = this.#pick(this.devices.slice(this.people.length));
    const send = async () => device.send(await this.#chatOf(device.person), this.#text());
    return [
      ...Array.from({ length: 6 }, (): [string, () => Promise<unknown>] => ['send', send]),
      ...this.#messageActions(person),
      ...this.#messageActions(this.#pick(this.people)),
      ...this.#chatActions(person, this.#pick(this.people)),
      ...this.#deviceActions(device, restless),
    ];
  }

  #messageActions(person: Person): [string, () => Promise<unknown>][] {
    const onMessage = (mutation: string) => async () => {
      const message = await this.#messageOf(person);
      if (message !== null) await person.ask(mutation, { id: message, text: this.#text(), emoji: this.#pick(emoji) });
    };
    const edit = `mutation ($id: ID!, $text: String!) { editMessage(messageId: $id, content: $text) { ${refusable} } }`;
    const remove = `mutation ($id: ID!) { deleteMessage(messageId: $id) { ${refusable} } }`;
    const react = `mutation ($id: ID!, $emoji: String!) { addReaction(messageId: $id, emoji: $emoji) { ${refusable} } }`;
    const unreact = `mutation ($id: ID!, $emoji: String!) { removeReaction(messageId: $id, emoji: $emoji) { ${refusable} } }`;
    const reply = async () => {
      const [chatId, replyToId] = [await this.#chatOf(person), await this.#messageOf(person)];
      const input = { chatId, content: this.#text(), replyToId };
      await person.ask(`mutation ($input: SendMessageInput!) { sendMessage(input: $input) { ${refusable} } }`, {
        input,
      });
    };
    const read = async () => {
      const chatId = await this.#chatOf(person);
      const { chat } = await person.ask('query ($id: ID!) { chat(id: $id) { lastSeq } }', { id: chatId });
      const variables = { id: chatId, seq: Math.floor(this.#random() * (chat.lastSeq + 1)) };
      const mark = `mutation ($id: ID!, $seq: Int!) { markRead(chatId: $id, seq: $seq, rewind: true) { ${refusable} } }`;
      await person.ask(mark, variables);
    };
    return [
      ['edit', onMessage(edit)],
      ['delete', onMessage(remove)],
      ['react', onMessage(react)],
      ['react', onMessage(react)],
      ['unreact', onMessage(unreact)],
      ['reply', reply],
      ['read', read],
    ];
  }

  #chatActions(person: Person, other: Person): [string, () => Promise<unknown>][] {
    const inChat =
      (mutation: string, more: () => Data = () => ({})) =>
      async () => {
        const chatId = await this.#chatOf(person, { withLobby: false });
        await person.ask(mutation, { chatId, userId: other.userId, ...more() });
      };
    const simple = (name: string) =>
      `mutation ($chatId: ID!, $userId: ID!) { ${name}(chatId: $chatId, userId: $userId) { ${refusable} } }`;
    const create = () => {
      const type = this.#pick(['GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL', 'SINGLE']);
      const isSingle = type === 'SINGLE';
      const name = isSingle ? {} : { name: this.#text() };
      return createChat(person, { type, ...name, memberIds: isSingle || this.#random() < 0.7 ? [other.userId] : [] });
    };
    return [
      ['create', create],
      ['create', create],
      [
        'add',
        inChat(
          `mutation ($chatId: ID!, $userId: ID!, $history: SharedHistory) {
        addMembers(chatId: $chatId, userIds: [$userId], history: $history) { ${refusable} } }`,
          () => ({ history: this.#pick(['ALL', 'FROM_NOW', null]) }),
        ),
      ],
      ['remove', inChat(simple('removeMember'))],
      ['ban', inChat(simple('banMember'))],
      ['unban', inChat(simple('unbanMember'))],
      ['leave', inChat(`mutation ($chatId: ID!) { leaveChat(chatId: $chatId) { ${refusable} } }`)],
      [
        'role',
        inChat(
          `mutation ($chatId: ID!, $userId: ID!, $role: MemberRole!) {
        setMemberRole(chatId: $chatId, userId: $userId, role: $role) { ${refusable} } }`,
          () => ({ role: this.#pick(['OWNER', 'ADMIN', 'MEMBER']) }),
        ),
      ],
      [
        'mute',
        inChat(
          `mutation ($chatId: ID!, $userId: ID!, $until: DateTime) {
        muteMember(chatId: $chatId, userId: $userId, until: $until) { ${refusable} } }`,
          () => ({ until: this.#pick([null, '2099-01-01T00:00:00.000Z']) }),
        ),
      ],
      [
        'level',
        inChat(
          `mutation ($chatId: ID!, $level: NotificationLevel!) {
        setNotificationLevel(chatId: $chatId, level: $level) { ${refusable} } }`,
          () => ({ level: this.#pick(['ALL', 'MENTIONS', 'NONE']) }),
        ),
      ],
      [
        'change',
        inChat(
          `mutation ($chatId: ID!, $name: String!, $type: ChatType) {
        updateChat(input: { chatId: $chatId, name: $name, type: $type }) { ${refusable} } }`,
          () => ({
            name: this.#text(),
            ...(this.#random() < 0.5 && { type: this.#pick(['PRIVATE_CHANNEL', 'PUBLIC_CHANNEL', 'GROUP']) }),
          }),
        ),
      ],
      ...(this.#random() < 0.3
        ? [
            this.#action(
              'delete chat',
              inChat(`mutation ($chatId: ID!) { deleteChat(chatId: $chatId) { ${refusable} } }`),
            ),
          ]
        : []),
      [
        'join',
        async () => {
          const { publicChannels } = await person.ask('{ publicChannels(first: 20) { edges { node { id } } } }');
          if (publicChannels.edges.length === 0) return;
          await person.ask(`mutation ($id: ID!) { joinChat(chatId: $id) { ${refusable} } }`, {
            id: this.#pick<Data>(publicChannels.edges).node.id,
          });
        },
      ],
      [
        'rename',
        () =>
          person.ask(`mutation ($name: String!) { updateProfile(input: { displayName: $name }) { ${refusable} } }`, {
            name: this.#text(),
          }),
      ],
      [
        'block',
        () =>
          person.ask(
            `mutation ($id: ID!) { ${this.#pick(['blockUser', 'unblockUser'])}(userId: $id) { ${refusable} } }`,
            { id: other.userId },
          ),
      ],
      ['insert', async () => insertMessage(this.#node(), await this.#chatOf(person), person, this.#text())],
    ];
  }

  #deviceActions(device: Device, restless: Device): [string, () => Promise<unknown>][] {
    const load = async () => {
      const { chatIds, messages } = device.client.state;
      if (chatIds.length === 0) return;
      const chatId = this.#pick(chatIds);
      const loaded = messages[chatId]?.messages ?? [];
      const [first, last] = [loaded[0]?.seq, loaded.at(-1)?.seq];
      await device.client.loadMessages(
        chatId,
        this.#pick([
          {},
          {},
          { around: 3 },
          first === undefined ? {} : { before: first },
          last === undefined ? {} : { after: last },
        ]),
      );
    };
    return [
      ['load', load],
      ['load', load],
      ['load', load],
      [
        'members',
        async () =>
          device.client.state.chatIds[0] && device.client.loadMembers(this.#pick(device.client.state.chatIds)),
      ],
      ['offline', async () => restless.goOffline()],
      ['online', async () => restless.goOnline()],
      ['online', async () => restless.goOnline()],
      ['cut', async () => device.cut()],
      ['slow', async () => void (device.trouble.slowAnswers += 2)],
      ['slow', async () => void (device.trouble.slowAnswers += 2)],
      ['lose', async () => void (device.trouble.lostAnswers += 1)],
      ['portal', async () => void (restless.trouble.portals += 2)],
      ...(this.#random() < 0.3 ? [this.#action('restart app', () => restless.restart())] : []),
    ];
  }

  /** Returns rare failures of the whole system, as actions. */
  #systemActions(): [string, () => Promise<unknown>][] {
    const first = this.#first;
    // The first node keeps running, because closing it would also close its database.
    const restart = async () => {
      const node = await this.#startSecond();
      await this.#nodes[1]?.close();
      this.#route(1, node);
    };
    const kill = async () => {
      await this.#nodes[1]?.close();
      this.#route(1, await this.#startSecond());
    };
    const loseRings = async () => {
      const definition = await first.sql.query(`select pg_get_functiondef('ring_bell'::regproc) as text`);
      const { text } = definition.rows[0];
      await first.sql.query(text.replace('perform pg_notify(channel, payload);', ''));
      await wait(2_000);
      await first.sql.query(text);
    };
    const interrupt = () =>
      first.sql.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
      );
    const prune = async () => {
      await first.sql.query(`update events set at = at - interval '8 days' where at > now() - interval '1 day'`);
      await pruneEvents(first.sql, 7 * dayMs, 10_000);
    };
    return [
      this.#action('restart node', restart),
      ...(this.#hasProcess ? [this.#action('kill node', kill)] : []),
      this.#action('lose rings', loseRings),
      this.#action('interrupt database', interrupt),
      this.#action('prune', prune),
    ];
  }

  #action(name: string, run: () => Promise<unknown>): [string, () => Promise<unknown>] {
    return [name, run];
  }

  #text(): string {
    this.#count += 1;
    const mention = this.#random() < 0.3 ? ` @${this.#pick([...names, 'everyone'])}` : '';
    return `text ${this.#count}${mention}`;
  }

  async #chatOf(person: Person, { withLobby = true } = {}): Promise<string> {
    const { viewer } = await person.ask('{ viewer { chats(first: 50) { edges { node { id name } } } } }');
    const chats: Data[] = viewer.chats.edges.map(({ node }: Data) => node);
    return this.#pick(chats.filter(({ name }) => withLobby || name !== 'lobby')).id;
  }

  async #messageOf(person: Person): Promise<string | null> {
    const id = await this.#chatOf(person);
    const { chat } = await person.ask(
      'query ($id: ID!) { chat(id: $id) { messages(last: 20) { edges { node { id } } } } }',
      { id },
    );
    return chat.messages.edges.length === 0 ? null : this.#pick<Data>(chat.messages.edges).node.id;
  }

  /** Waits until every device has received everything that happened. */
  async #settle(): Promise<void> {
    for (const device of this.devices) {
      Object.assign(device.trouble, { isOffline: false, lostAnswers: 0, slowAnswers: 0, portals: 0 });
    }
    const until = Date.now() + 30_000;
    for (const device of this.devices) {
      while (!this.#isIdle(device)) {
        if (Date.now() > until) throw new Error(`a device did not settle: ${describe(device)}`);
        device.client.reconnect();
        await wait(50);
      }
    }
    const [person] = this.people;
    const { viewer } = await (person as Person).ask('{ viewer { eventCursor } }');
    const head = Number(viewer.eventCursor.split('.')[1]);
    for (const device of this.devices) {
      device.cut();
      while (!this.#isIdle(device) || Number(device.client.state.sync.cursor?.split('.')[1]) < head) {
        if (Date.now() > until) throw new Error(`a device did not catch up: ${describe(device)}`);
        device.client.reconnect();
        await wait(20);
      }
    }
  }

  #isIdle({ client, isSending }: Device): boolean {
    const { connection, sync } = client.state;
    return connection === 'live' && !sync.isLost && Object.keys(sync.stale).length === 0 && !isSending;
  }

  /**
   * Returns the clients' messages that exist more than once, that exist although they were refused, or that were never
   * sent.
   */
  async #wrongWrites(): Promise<string[]> {
    const found: string[] = [];
    for (const { content, outcome, message } of this.devices.flatMap(({ sent }) => sent)) {
      const { rows } = await this.#first.sql.query<{ id: string }>(
        `select m.id from messages m
        left join message_revisions r on r.chat_id = m.chat_id and r.seq = m.seq and r.version = 1
        where coalesce(r.content, m.content) = $1 or m.id = $2`,
        [content, message === undefined ? null : keyOf(message.id)],
      );
      if (rows.length > (outcome === 'refused' ? 0 : 1))
        found.push(`"${content}" is there ${rows.length} times: ${outcome}`);
      if (outcome === 'waiting') found.push(`"${content}" was never sent`);
    }
    return found;
  }

  get #first(): TestServer {
    if (this.#server === null) throw new Error('not started');
    return this.#server;
  }
}

import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { never, type Asker, type KeyAsker } from '../../src/core/asker.ts';
import { scopes, type Scope } from '../../src/core/scope.ts';
import { may, type Action } from '../../src/chat/permission.ts';

const asker: Asker = { kind: 'SESSION', userId: 1n, sessionId: 1n, expiresAt: new Date() };
/** A user who sees the whole history and is neither blocked nor muted. */
const open = { visibleFrom: 1, isBlocked: false, mutedUntil: null };

const types = ['SINGLE', 'GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'] as const;
const roles = ['OWNER', 'ADMIN', 'MEMBER', null] as const;
const targets = ['OWNER', 'ADMIN', 'MEMBER'] as const;

const nobody = '- - - -';

/**
 * The whole permission table again, written by hand: who may perform each action in each chat type. O, A, M and N stand
 * for owner, admin, member and non-member. An action on a member has one row for each role that this member may have.
 */
const table: Record<string, string> = {
  //                     SINGLE    GROUP     PRIVATE   PUBLIC
  'addMembers          ': `- - - - | O A M - | O A - - | O A - -`,
  'createInvite        ': `- - - - | O A M - | O A - - | O A - -`,
  'removeMember OWNER  ': `- - - - | O - - - | O - - - | O - - -`,
  'removeMember ADMIN  ': `- - - - | O - - - | O - - - | O - - -`,
  'removeMember MEMBER ': `- - - - | O A - - | O A - - | O A - -`,
  'banMember OWNER     ': `- - - - | O - - - | O - - - | O - - -`,
  'banMember ADMIN     ': `- - - - | O - - - | O - - - | O - - -`,
  'banMember MEMBER    ': `- - - - | O A - - | O A - - | O A - -`,
  'muteMember OWNER    ': `- - - - | O - - - | O - - - | O - - -`,
  'muteMember ADMIN    ': `- - - - | O - - - | O - - - | O - - -`,
  'muteMember MEMBER   ': `- - - - | O A - - | O A - - | O A - -`,
  'setMemberRole OWNER ': `- - - - | O - - - | O - - - | O - - -`,
  'setMemberRole ADMIN ': `- - - - | O - - - | O - - - | O - - -`,
  'setMemberRole MEMBER': `- - - - | O - - - | O - - - | O - - -`,
  'joinChat            ': `- - - - | - - - - | - - - - | - - - N`,
  'leaveChat           ': `- - - - | O A M - | O A M - | O A M -`,
  'updateChat          ': `- - - - | O A - - | O A - - | O A - -`,
  'publishHistory      ': `- - - - | O A - - | O A - - | O A - -`,
  'deleteChat          ': `- - - - | O - - - | O - - - | O - - -`,
  'sendMessage         ': `O A M - | O A M - | O A M - | O A M -`,
  'deleteAnyMessage    ': `- - - - | O A - - | O A - - | O A - -`,
  'pinMessage          ': `O A M - | O A M - | O A - - | O A - -`,
  'mentionEveryone     ': `- - - - | O A - - | O A - - | O A - -`,
};

const targeted = new Set<Action>(['removeMember', 'banMember', 'muteMember', 'setMemberRole']);

test.each(Object.keys(table))('%s is allowed as the table says, and to no one else', (row) => {
  const [action, target] = row.trim().split(' ') as [Action, (typeof targets)[number] | undefined];
  expect(targeted.has(action)).toBe(target !== undefined);
  const allowed = types.map((type) =>
    roles
      .map((role) =>
        may(asker, action, { ...open, type, role, targetRole: target ?? null }) ? (role ?? 'NONE').slice(0, 1) : '-',
      )
      .join(' '),
  );
  expect(allowed.join(' | ')).toBe(table[row]);
});

test('the table has a row for every action', () => {
  const actions: Record<Action, true> = {
    addMembers: true,
    createInvite: true,
    removeMember: true,
    banMember: true,
    muteMember: true,
    setMemberRole: true,
    joinChat: true,
    leaveChat: true,
    updateChat: true,
    publishHistory: true,
    deleteChat: true,
    sendMessage: true,
    deleteAnyMessage: true,
    pinMessage: true,
    mentionEveryone: true,
  };
  const wanted = Object.keys(actions).flatMap((action) =>
    targeted.has(action as Action) ? targets.map((target) => `${action} ${target}`) : [action],
  );
  expect(Object.keys(table).map((row) => row.trim())).toEqual(expect.arrayContaining(wanted));
  expect(Object.keys(table)).toHaveLength(wanted.length);
});

test('an action that depends on its target is allowed only to owners when no target is given', () => {
  for (const type of types) {
    for (const role of roles) {
      const isOwner = role === 'OWNER' && type !== 'SINGLE';
      for (const action of targeted) expect(may(asker, action, { ...open, type, role })).toBe(isOwner);
    }
  }
});

test('a user who is not a member may do nothing but join a public channel', () => {
  const allowed = Object.entries(table).filter(([, row]) => row.includes('N'));
  expect(allowed).toEqual([['joinChat            ', `${[nobody, nobody, nobody].join(' | ')} | - - - N`]]);
});

test('docs/clients.md says the same', async () => {
  const words: Record<string, string> = { '- - - -': '–', 'O - - -': 'owners', 'O A - -': 'owners, admins' };
  const told = (cell: string, index: number) =>
    words[cell] ?? (cell.endsWith('N') ? 'anyone' : types[index] === 'SINGLE' ? 'both' : 'members');
  const expected = Object.entries(table)
    .filter(([row]) => !/ (OWNER|ADMIN) *$/.test(row))
    .map(([row, cells]) => [row.trim().split(' ')[0], ...cells.split(' | ').map(told)].join(' | '));
  const clients = await readFile('docs/clients.md', 'utf8');
  const [, section = ''] = /### Who may do what\n([^]*?)\n###/.exec(clients) ?? [];
  const rows = [...section.matchAll(/^\| `(\w+)` *((?:\|[^|]*){4})\|$/gm)].map(([, action, cells = '']) =>
    [
      action,
      ...cells
        .split('|')
        .slice(1)
        .map((cell) => cell.trim()),
    ].join(' | '),
  );
  expect(rows.toSorted()).toEqual(expected.toSorted());
});

test('a member who does not see the whole history may publish it only as an owner', () => {
  const mayPublish = (role: (typeof roles)[number], visibleFrom: number) =>
    may(asker, 'publishHistory', { type: 'PRIVATE_CHANNEL', role, ...open, visibleFrom });
  expect(roles.map((role) => mayPublish(role, 1))).toEqual([true, true, false, false]);
  expect(roles.map((role) => mayPublish(role, 2))).toEqual([true, false, false, false]);
});

test('a blocked user may do nothing in a single chat', () => {
  const allowed = (isBlocked: boolean) =>
    Object.keys(table)
      .map((row) => row.trim().split(' ')[0] as Action)
      .filter((action) => may(asker, action, { ...open, type: 'SINGLE', role: 'MEMBER', isBlocked }));
  expect(allowed(false)).toEqual(['sendMessage', 'pinMessage']);
  expect(allowed(true)).toEqual([]);
});

test('a muted member may only leave, whatever their role, and a mute gives no one a right', () => {
  for (const row of Object.keys(table)) {
    const [action, targetRole = null] = row.trim().split(' ') as [Action, (typeof targets)[number] | undefined];
    for (const type of types) {
      for (const role of roles) {
        const access = { ...open, type, role, targetRole };
        const mayIfMuted = may(asker, action, { ...access, mutedUntil: new Date() });
        expect([row, type, role, mayIfMuted]).toEqual([
          row,
          type,
          role,
          (action === 'leaveChat' || role === null) && may(asker, action, access),
        ]);
      }
    }
  }
});

/** Returns a program that acts as a user, with a key that has these scopes. */
const program = (...granted: Scope[]): KeyAsker => ({
  kind: 'KEY',
  keyId: 1n,
  botId: null,
  scopes: new Set(granted),
  expiresAt: never,
  userId: 1n,
  sessionId: 1n,
  isActing: true,
});

const writing = new Set<Action>(['sendMessage', 'deleteAnyMessage', 'pinMessage', 'mentionEveryone']);

test.each(Object.keys(table))(
  '%s needs one scope of a program that acts as a user, besides that user’s rights',
  (row) => {
    const [action, target] = row.trim().split(' ') as [Action, (typeof targets)[number] | undefined];
    const needed = writing.has(action) ? 'MESSAGES_WRITE' : 'CHATS_WRITE';
    const cases = types.flatMap((type) => roles.map((role) => ({ ...open, type, role, targetRole: target ?? null })));
    const allowed = (by: Asker) => cases.map((each) => may(by, action, each));
    expect(allowed(program(needed))).toEqual(allowed(asker));
    expect(allowed({ ...program(), botId: 1n, isActing: false })).toEqual(allowed(asker));
    expect(allowed(program(...scopes.filter((scope) => scope !== needed)))).not.toContain(true);
  },
);

import { keyOf } from './chat.ts';
import type { Data, Person, Variables } from './client.ts';
import type { TestServer } from './server.ts';

/** Gives a user a role on the server, directly in the database. */
export async function setRoleWithSql(server: TestServer, person: Person, role: string): Promise<void> {
  await server.sql.query('update users set server_role = $2::server_role where id = $1', [keyOf(person.userId), role]);
}

const adminUser = '... on AdminUser { id email serverRole suspension { since until reason } user { username } }';
const error = '... on Error { code message }';
const field = '... on InvalidInput { fields { path code } }';

// The functions that ask for a change return the whole result, errors included.

/** Suspends a user. Returns the outcome. */
export async function suspendUser(by: Person, userId: string, more: Variables = {}): Promise<Data> {
  const document = `mutation ($userId: ID!, $until: DateTime, $reason: String) {
    outcome: suspendUser(userId: $userId, until: $until, reason: $reason) { __typename ${adminUser} ${error} ${field} }
  }`;
  return (await by.ask(document, { userId, ...more })).outcome;
}

/** Lifts a suspension. Returns the outcome. */
export async function unsuspendUser(by: Person, userId: string): Promise<Data> {
  const document = `mutation ($userId: ID!) {
    outcome: unsuspendUser(userId: $userId) { __typename ${adminUser} ${error} }
  }`;
  return (await by.ask(document, { userId })).outcome;
}

/** Changes a user’s role on the server. Returns the outcome. */
export async function setServerRole(by: Person, userId: string, role: string): Promise<Data> {
  const document = `mutation ($userId: ID!, $role: ServerRole!) {
    outcome: setServerRole(userId: $userId, role: $role) { __typename ${adminUser} ${error} }
  }`;
  return (await by.ask(document, { userId, role })).outcome;
}

/** Ends another user’s session. Returns the outcome. */
export async function endSession(by: Person, sessionId: string): Promise<Data> {
  const document = `mutation ($sessionId: ID!) {
    outcome: endSession(sessionId: $sessionId) { __typename ... on Session { id } ${error} }
  }`;
  return (await by.ask(document, { sessionId })).outcome;
}

/** `messages`: KEEP or DELETE. */
export async function eraseUser(by: Person, userId: string, messages = 'KEEP'): Promise<Data> {
  const document = `mutation ($userId: ID!, $messages: ErasedMessages!) {
    outcome: eraseUser(userId: $userId, messages: $messages) { __typename ... on AccountGone { userId } ${error} }
  }`;
  return (await by.ask(document, { userId, messages })).outcome;
}

/** The fields of a report: those that its reporter may also see, and those for staff only. */
const reportFields = `id reason createdAt resolvedAt reported: message { id content } author { username } content
  files { name contentType size url } reporter { username } comment resolution note
  surroundings { seq content isReported fileCount sender { username } }`;

/** Reports a message. Returns the outcome: the report or an error. */
export async function reportMessage(by: Person, messageId: string, more: Variables = {}): Promise<Data> {
  const document = `mutation ($messageId: ID!, $reason: ReportReason!, $comment: String) {
    outcome: reportMessage(messageId: $messageId, reason: $reason, comment: $comment) {
      __typename ... on Report { ${reportFields} } ${error} ${field}
    }
  }`;
  return (await by.ask(document, { messageId, reason: 'HARASSMENT', ...more })).outcome;
}

/** Resolves a report. Returns the outcome. */
export async function resolveReport(by: Person, reportId: string, resolution: string, note?: string): Promise<Data> {
  const document = `mutation ($reportId: ID!, $resolution: ReportResolution!, $note: String) {
    outcome: resolveReport(reportId: $reportId, resolution: $resolution, note: $note) {
      __typename ... on Report { ${reportFields} } ${error} ${field}
    }
  }`;
  return (await by.ask(document, { reportId, resolution, note })).outcome;
}

/** Returns a report as the user sees it, or null if it is hidden from them. */
export async function readReport(by: Person, id: string): Promise<Data> {
  return (await by.ask(`query ($id: ID!) { node(id: $id) { ... on Report { ${reportFields} } } }`, { id })).node;
}

/** Returns the entries of the audit log that match the filter, newest first, as an admin sees them. */
export async function readAuditLog(admin: Person, filter: Variables = {}): Promise<Data[]> {
  const document = `query ($actorId: ID, $targetId: ID, $first: Int) {
    admin { auditLog(actorId: $actorId, targetId: $targetId, first: $first) {
      edges { node { id createdAt action targetId detail actor { username } } }
    } }
  }`;
  const { admin: seen } = await admin.ask(document, filter);
  return seen.auditLog.edges.map(({ node }: { node: Data }) => node);
}

import type { RateLimits } from '../core/rate-limit.ts';
import { noMetrics, type Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { Lease, Leases } from '../postgres/lease.ts';
import { LeasedLoop, type LoopTimes } from '../postgres/leased-loop.ts';
import { createCode, discardCode, type CodeOwner } from './mail-code.ts';
import { findDueMails, holdMail, postponeMail, removeMail, type QueuedMail } from './outbox.ts';
import type { TemplateName, Templates } from './template.ts';
import { MailFailure, type MailTransport } from './transport.ts';

/**
 * Who receives an email, which template it uses, and what its code is for. `receiver`: the host of the webhook that the
 * email is about.
 */
export type Letter = { to: string; template: TemplateName; code: CodeOwner | null; receiver?: string };

/**
 * Decides how a queued email is sent, inside a transaction in which it locks the user that the email is about.
 * Returns null if there is no one to send the email to.
 */
export type AddressMail = (client: Queryable, mail: QueuedMail) => Promise<Letter | null>;

/** The settings and dependencies for sending mail. */
export type DeliveryOptions = {
  db: Db;
  leases: Leases;
  limits: RateLimits;
  report: Report;
  metrics?: Metrics | undefined;
  transport: MailTransport;
  templates: Templates;
  address: AddressMail;
  /** Where the links lead: the address of the web application, without a trailing slash. */
  appUrl: string;
  times?: Partial<LoopTimes> | undefined;
};

/** How many emails are sent at the same time. */
const batchSize = 5;
/** How long `close` waits for emails that are being sent, in ms. */
const closeMs = 3_000;
/**
 * The longest pause before the next attempt to send an email, in ms: after a failure of the mail server, and after the
 * mail server refused the email temporarily.
 */
const maxDelays = { SERVER: 60_000, LATER: 3_600_000 };

/** The page of the web application on which each kind of code is entered. */
const pages: Record<CodeOwner['kind'], string> = {
  SIGN_UP: 'verify-email',
  VERIFICATION: 'verify-email',
  EMAIL_CHANGE: 'verify-email',
  PASSWORD_RESET: 'reset-password',
};

/**
 * Returns the link that passes a code to the web application. The code is in the fragment, which browsers never send to
 * a server, so it does not appear in any access log or `referer` header.
 */
export function linkTo(appUrl: string, { kind }: Pick<CodeOwner, 'kind'>, code: string): string {
  return `${appUrl}/${pages[kind]}#token=${code}`;
}

/**
 * Sends the emails in the outbox, on one node at a time. An email is sent at least once: if a node dies before it has
 * removed the email from the outbox, another node sends the email again, with a new code and the same Message-ID. While
 * the mail server is down, the delivery tries one email at a time, at growing intervals.
 */
export class MailDelivery {
  readonly #options: DeliveryOptions;
  readonly #loop: LeasedLoop;
  #isServerDown = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#loop = new LeasedLoop({
      leases: options.leases,
      name: 'mail',
      times: options.times,
      step: (lease) => this.#sendDue(lease),
      onFailure: (error, failures) => this.#noteFailure(error, failures),
    });
  }

  open(): void {
    this.#loop.open();
  }

  /** Call this after a transaction that queued an email has committed. */
  ring(): void {
    this.#loop.ring();
  }

  /** Waits briefly for emails that are being sent. Another node resends emails that take longer. */
  async close(): Promise<void> {
    let timeout: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timeout = setTimeout(resolve, closeMs)));
    await Promise.race([this.#loop.close(), patience]);
    clearTimeout(timeout);
  }

  /** Reports an outage of the mail server only once, however long it lasts. */
  #noteFailure(error: unknown, failures: number): void {
    const { report } = this.#options;
    if (!(error instanceof MailFailure)) {
      if (failures === 1) report('warn', 'the outbox failed and will retry', { error });
      return;
    }
    if (!this.#isServerDown)
      report('warn', 'no email can be sent at the moment; the server keeps trying', error.detail);
    this.#isServerDown = true;
  }

  async #sendDue(lease: Lease): Promise<boolean> {
    const limit = this.#isServerDown ? 1 : batchSize;
    const mails = await findDueMails(this.#options.db.pool, limit);
    const outcomes = await Promise.allSettled(mails.map((mail) => this.#send(lease, mail)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    if (mails.length > 0) this.#isServerDown = false;
    return mails.length === limit;
  }

  async #send(lease: Lease, mail: QueuedMail): Promise<void> {
    const { limits, transport, metrics = noMetrics } = this.#options;
    const letter = await this.#address(lease, mail);
    if (letter === null) return;
    const { to, code } = letter;
    // The email is counted here instead of at the time of the request, so that the response to the request reveals
    // nothing.
    if (mail.attempts === 0 && !(await limits.tries('mails', { email: to }))) {
      metrics.count('mails', { outcome: 'limited' });
      await this.#write(lease, async (client) => {
        await removeMail(client, mail);
        if (code !== null) await discardCode(client, code.owner, code.secret);
      });
      return;
    }
    try {
      await transport.send({ messageKey: mail.messageKey, to, ...this.#fillIn(mail, letter) });
    } catch (error) {
      if (!(error instanceof MailFailure)) throw error;
      metrics.count('mails', { outcome: error.kind === 'REFUSED' ? 'refused' : 'postponed' });
      await this.#settle(lease, mail, error);
      return;
    }
    metrics.count('mails', { outcome: 'sent' });
    await this.#write(lease, (client) => removeMail(client, mail));
  }

  /** Determines who receives the email, and creates its code. Removes an email that has no recipient. */
  #address(lease: Lease, mail: QueuedMail) {
    const { address } = this.#options;
    return this.#write(lease, async (client) => {
      const letter = await address(client, mail);
      // The email may have been withdrawn while `address` waited for the lock on the user.
      if (!(await holdMail(client, mail))) return null;
      if (letter === null) {
        await removeMail(client, mail);
        return null;
      }
      const { code: owner } = letter;
      const code = owner === null ? null : { owner, secret: await createCode(client, owner) };
      return { ...letter, code };
    });
  }

  #fillIn(mail: QueuedMail, { to, template, code, receiver }: Omit<Letter, 'code'> & { code: Code | null }) {
    const { templates, appUrl } = this.#options;
    return templates.render(template, {
      app: new URL(appUrl).host,
      appUrl,
      email: to,
      link: code === null ? '' : linkTo(appUrl, code.owner, code.secret),
      code: code?.secret ?? '',
      device: mail.device ?? 'an unknown device',
      receiver: receiver ?? '',
      time: `${mail.createdAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    });
  }

  /** Drops an email that was refused permanently, and postpones any other email. */
  async #settle(lease: Lease, mail: QueuedMail, failure: MailFailure): Promise<void> {
    if (failure.kind === 'REFUSED') {
      await this.#write(lease, (client) => removeMail(client, mail));
      this.#options.report('warn', 'an email was refused', { kind: mail.kind, ...failure.detail });
      return;
    }
    const delayMs = Math.min(maxDelays[failure.kind], 1_000 * 2 ** mail.attempts);
    await this.#write(lease, (client) => postponeMail(client, mail, delayMs));
    if (failure.kind === 'SERVER') throw failure;
  }

  /** Runs `work` in a transaction during which no other node can take the lease. */
  #write<T>(lease: Lease, work: (client: Queryable) => Promise<T>): Promise<T> {
    // The transaction does not use Prisma, because the outbox does not need it.
    const { pool } = this.#options.db;
    return inTransaction({ pool }, async (client) => {
      await lease.fence(client);
      return work(client);
    });
  }
}

type Code = { owner: CodeOwner; secret: string };

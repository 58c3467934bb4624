import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import { keyOf } from './chat.ts';
import { atFileEnd } from './file-end.ts';
import { issuersEnv, secondsFromNow, TestIssuer, viewerOf } from './issuer.ts';
import { startServer, type TestServer } from './server.ts';

/** An HTTP server that serves the pictures named in tokens. The server listens until the test file ends. */
export class PictureHost {
  /** The handler that answers the requests. By default, it answers with a server error. */
  answer: RequestListener = refuse;
  /** The paths that were requested. */
  requested: string[] = [];
  readonly #server = createServer((request, response) => {
    this.requested.push(String(request.url));
    this.answer(request, response);
  });

  static async start(): Promise<PictureHost> {
    const host = new PictureHost();
    host.#server.listen(0, '127.0.0.1');
    await once(host.#server, 'listening');
    atFileEnd(() => void host.#server.close());
    return host;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  answerWith(bytes: Uint8Array): void {
    this.answer = (_, response) => void response.end(bytes);
  }

  /** Forgets the requests and the answer, before the next test. */
  reset(): void {
    this.answer = refuse;
    this.requested = [];
  }
}

const refuse: RequestListener = (_, response) => void response.writeHead(500).end();

/** A server that fetches the pictures named in an issuer's tokens. */
export class ClaimedPictures {
  readonly server: TestServer;
  readonly issuer: TestIssuer;
  #age = 600;

  private constructor(server: TestServer, issuer: TestIssuer) {
    this.server = server;
    this.issuer = issuer;
  }

  static async start(): Promise<ClaimedPictures> {
    const issuer = await TestIssuer.start();
    const overrides = { pictureTimes: { poll: 10, maxBackoff: 10 } };
    return new ClaimedPictures(await startServer({ env: issuersEnv(issuer), overrides }), issuer);
  }

  /** Visits the server with a token that names a picture and is newer than the earlier tokens. */
  async visit(sub: string, picture: unknown): Promise<{ id: string; token: string }> {
    this.#age -= 5;
    const iat = secondsFromNow(-this.#age);
    const token = await this.issuer.issue({ sub, iat, preferred_username: sub, picture });
    return { id: (await viewerOf(this.server, token)).user.id, token };
  }

  /** Returns the state of a user's picture. The picture is settled when nothing remains to be done for it. */
  async stateOf(userId: string): Promise<{ attempts: number; isSettled: boolean } | undefined> {
    const { rows } = await this.server.sql.query(
      `select attempts, next_attempt_at is null as "isSettled" from claimed_pictures where user_id = $1`,
      [keyOf(userId)],
    );
    return rows[0];
  }

  /** Makes the next attempt due now. */
  async hurry(userId: string): Promise<void> {
    await this.server.sql.query(
      `update claimed_pictures set next_attempt_at = clock_timestamp()
      where user_id = $1 and next_attempt_at is not null`,
      [keyOf(userId)],
    );
  }
}

/** Waits until nothing remains to be done for a user's picture. */
export async function expectSettled(claims: ClaimedPictures, userId: string): Promise<void> {
  const isSettled = async () => (await claims.stateOf(userId))?.isSettled;
  await expect.poll(isSettled, { timeout: 10_000, interval: 10 }).toBe(true);
}

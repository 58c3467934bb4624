import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SMTPServer } from 'smtp-server';
import { examine, type Patient } from '../../src/doctor/doctor.ts';
import { parseRedisUrl } from '../../src/redis/redis-url.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import { atFileEnd } from './file-end.ts';

/** The system that a server would run on, for the doctor to examine. */
export class TestPatient {
  readonly database: TestDatabase;
  readonly dataDir: string;

  private constructor(database: TestDatabase, dataDir: string) {
    this.database = database;
    this.dataDir = dataDir;
  }

  /** Creates a database and a data folder, which exist until the test file ends. */
  static async create(): Promise<TestPatient> {
    const database = await createDatabase();
    atFileEnd(database.drop);
    const dataDir = await mkdtemp(join(tmpdir(), 'parley-doctor-'));
    atFileEnd(() => rm(dataDir, { recursive: true }));
    return new TestPatient(database, dataDir);
  }

  /** Returns what the doctor prints, and whether the server could run. */
  async see(changes: Partial<Patient>): Promise<{ isFit: boolean; text: string }> {
    const { url } = this.database;
    const healthy: Patient = {
      database: { url, directUrl: url, poolSize: 10 },
      redis: null,
      dataDir: this.dataDir,
      fileStore: null,
      fileServing: 'stream',
      maxConnections: 10,
      smtpUrl: null,
    };
    let text = '';
    const isFit = await examine({ ...healthy, ...changes }, (lines) => void (text += lines));
    return { isFit, text };
  }

  /** Returns what the doctor prints about a Redis server. */
  async seeRedis(url: string): Promise<string> {
    return (await this.see({ database: null, redis: parseRedisUrl(url) })).text;
  }

  /** Runs the script with these settings. */
  runScript(settings: Record<string, string>): Promise<{ code: number; stdout: string }> {
    const env = { PATH: String(process.env['PATH']), DATA_DIR: this.dataDir, MAX_CONNECTIONS: '10', ...settings };
    return promisify(execFile)(process.execPath, ['scripts/doctor.ts'], { env }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { code: number; stdout: string }) => error,
    );
  }
}

/** Makes a server listen on a free port until the test file ends. Returns the port. */
export async function listen(server: Server | SMTPServer): Promise<number> {
  const inner = server instanceof SMTPServer ? server.server : server;
  inner.listen(0, '127.0.0.1');
  await once(inner, 'listening');
  atFileEnd(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (inner.address() as AddressInfo).port;
}

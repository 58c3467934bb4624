import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readTemplates } from '../../src/mail/template.ts';
import { mailSettings, startMailServer } from '../support/mail.ts';
import { startServer } from '../support/server.ts';

/** Creates a folder with these files. */
async function createFolder(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-templates-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

test('an operator’s text replaces the built-in one, and every value is escaped', async () => {
  const folder = await createFolder({
    'verification.txt': 'Subject: Hallo {{ email }}\n\nCode: {{code}}\n',
    'verification.html': '<p title="{{email}}">{{code}}</p>',
  });
  const mail = await startMailServer();
  await using server = await startServer({ env: mailSettings(mail, { MAIL_TEMPLATES: folder }) });
  const email = "'b&q'@example.com";
  await server.ask(
    'mutation ($input: SignUpInput!) { signUp(input: $input) { __typename ... on Error { message } } }',
    { input: { username: 'ada', email, password: 'the engine weaves' } },
  );
  const received = await mail.mailTo(email);
  expect(received.subject).toBe(`Hallo ${email}`);
  expect(received.text).toMatch(/^Code: pev_[\w-]{43}$/m);
  expect(received.html).toContain('title="&#39;b&amp;q&#39;@example.com"');
});

test('values cannot add lines to the subject or elements to the HTML', async () => {
  const templates = await readTemplates(null);
  const hostile = '<script>\r\nBcc: x@example.com\u2028';
  const values = { app: hostile, appUrl: hostile, email: hostile, link: hostile, code: hostile };
  for (const name of ['sign-up', 'verification', 'password-reset', 'email-change'] as const) {
    const { subject, html } = templates.render(name, values);
    expect(subject).not.toMatch(/[\r\n\u2028]/);
    expect(html).not.toContain('<script>');
    expect(html).toContain('&lt;script&gt;');
  }
});

test('a server does not start with a text that it cannot use, and names every mistake', async () => {
  const folder = await createFolder({
    'password-reset.txt': 'Your code is {{code}}',
    'verification.html': '<p>{{password}}</p>',
    'sign-up.html': '<p>Welcome!</p>',
  });
  const reading = readTemplates(folder);
  await expect(reading).rejects.toThrow('password-reset.txt: its first line must be "Subject: …"');
  await expect(reading).rejects.toThrow('verification.html: {{password}} is not one of {{app}}, {{appUrl}}, {{email}}');
  await expect(reading).rejects.toThrow('sign-up.html: it must contain {{link}} or {{code}}');
  await expect(readTemplates(join(folder, 'none'))).rejects.toThrow('is not a folder');
});

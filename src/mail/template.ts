import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CannotStart } from '../errors.ts';

const codePlaceholders = ['link', 'code'];
const commonPlaceholders = ['app', 'appUrl', 'email'];

/** The templates, each with the placeholders that it has in addition to the common ones. */
const placeholders = {
  'sign-up': codePlaceholders,
  'address-in-use': [],
  verification: codePlaceholders,
  'password-reset': codePlaceholders,
  'email-change': codePlaceholders,
  'email-change-notice': [],
  'new-sign-in': ['device', 'time'],
  'data-export': ['time'],
  'webhook-failing': ['receiver', 'time'],
} satisfies Record<string, string[]>;

/** The names of the emails that the server can send. */
export type TemplateName = keyof typeof placeholders;

/** The content of an email, as plain text and as HTML. */
export type Content = { subject: string; text: string; html: string };

const ownFolder = join(import.meta.dirname, 'template');

/** The templates for all emails, with placeholders such as `{{link}}`. */
export class Templates {
  readonly #texts: ReadonlyMap<TemplateName, Content>;

  constructor(texts: ReadonlyMap<TemplateName, Content>) {
    this.#texts = texts;
  }

  /**
   * Fills in the placeholders of a template. Replaces line breaks and other control characters in the values with
   * spaces; in HTML, also escapes the values.
   */
  render(name: TemplateName, values: Readonly<Record<string, string>>): Content {
    const content = this.#texts.get(name);
    if (content === undefined) throw new Error(`there is no template ${name}`);
    return {
      subject: fill(content.subject, values, toOneLine),
      text: fill(content.text, values, toOneLine),
      html: fill(content.html, values, escapeHtml),
    };
  }
}

/**
 * Reads the templates. A file in `folder` replaces the built-in file with the same name: `password-reset.txt`, whose
 * first line is `Subject: …`, or `password-reset.html`, for example. Throws a single CannotStart that names every file
 * with a mistake.
 */
export async function readTemplates(folder: string | null): Promise<Templates> {
  const problems: string[] = [];
  if (folder !== null && !(await isFolder(folder))) throw new CannotStart(`MAIL_TEMPLATES: ${folder} is not a folder.`);
  const names = Object.keys(placeholders) as TemplateName[];
  const texts = await Promise.all(
    names.map(async (name) => [name, await readTemplate(folder, name, problems)] as const),
  );
  if (problems.length > 0) throw new CannotStart(`MAIL_TEMPLATES cannot be used:\n  ${problems.join('\n  ')}`);
  return new Templates(new Map(texts));
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found !== null && found.isDirectory();
}

async function readTemplate(folder: string | null, name: TemplateName, problems: string[]): Promise<Content> {
  const [plain, html] = await Promise.all([readText(folder, `${name}.txt`), readText(folder, `${name}.html`)]);
  const [, subject = '', text = ''] = /^Subject: ([^\n]+)\n\s*\n(.+)$/s.exec(plain.replace(/\r\n?/g, '\n')) ?? [];
  if (subject === '') problems.push(`${name}.txt: its first line must be "Subject: …", and its second one empty`);
  for (const [file, content] of [
    [`${name}.txt`, plain],
    [`${name}.html`, html],
  ] as const) {
    const problem = findProblem(name, content);
    if (problem !== null) problems.push(`${file}: ${problem}`);
  }
  return { subject, text, html };
}

async function readText(folder: string | null, file: string): Promise<string> {
  if (folder !== null) {
    try {
      return await readFile(join(folder, file), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return readFile(join(ownFolder, file), 'utf8');
}

function findProblem(name: TemplateName, content: string): string | null {
  const known: string[] = [...commonPlaceholders, ...placeholders[name]];
  const used = [...content.matchAll(placeholder)].map(([, each = '']) => each);
  const unknown = used.find((each) => !known.includes(each));
  if (unknown !== undefined) return `{{${unknown}}} is not one of ${known.map((each) => `{{${each}}}`).join(', ')}`;
  const isUseless = known.includes('link') && !used.includes('link') && !used.includes('code');
  return isUseless ? 'it must contain {{link}} or {{code}}' : null;
}

const placeholder = /\{\{\s*([^{}]*?)\s*\}\}/g;

function fill(text: string, values: Readonly<Record<string, string>>, escape: (value: string) => string): string {
  return text.replace(placeholder, (_, name: string) => escape(values[name] ?? ''));
}

function toOneLine(value: string): string {
  return value.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(value: string): string {
  return toOneLine(value).replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

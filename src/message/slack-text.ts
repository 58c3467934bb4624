import { isRecord } from '../core/json.ts';
import { replaceReferences } from '../core/mrkdwn.ts';

/** The maximum depth to which the elements of a block may be nested. Slack itself nests them three levels deep. */
const maxDepth = 8;

/** Converts Slack's mrkdwn to plain Markdown: its links, its mentions and the three escaped characters. */
export function readMrkdwn(text: string): string {
  return replaceReferences(text, readReference);
}

function readReference(target: string, label: string): string {
  if (target.startsWith('!')) return label || `@${target.slice(1).split('^', 1)[0]}`;
  if (target.startsWith('@') || target.startsWith('#')) return label ? target.charAt(0) + label : target;
  return label ? `[${label}](${target})` : target.replace(/^mailto:/, '');
}

/** Returns the text of Slack's blocks (Block Kit), as one or more lines for each block that has text. */
export function readBlocks(blocks: unknown): string[] {
  return listOf(blocks).flatMap(readBlock);
}

function readBlock(block: Record<string, unknown>): string[] {
  switch (block['type']) {
    case 'section':
      return [textOf(block['text']), ...listOf(block['fields']).map(textOf)].filter((text) => text !== '');
    case 'header':
      return [textOf(block['text'])].filter((text) => text !== '').map((text) => `**${text}**`);
    case 'context':
      return [
        listOf(block['elements'])
          .map((element) => (element['type'] === 'image' ? stringOf(element['alt_text']) : textOf(element)))
          .filter((text) => text !== '')
          .join(' '),
      ].filter((text) => text !== '');
    case 'image':
      return [[textOf(block['title']) || stringOf(block['alt_text']), stringOf(block['image_url'])].join(' ').trim()];
    case 'rich_text':
      return listOf(block['elements']).flatMap((element) => readRichText(element, 0).split('\n'));
    default:
      // Dividers have no text, and buttons and other inputs are left out.
      return [];
  }
}

/** Returns the text of a rich-text element, including the elements in it. */
function readRichText(element: Record<string, unknown>, depth: number): string {
  if (depth > maxDepth) return '';
  const inner = () => listOf(element['elements']).map((each) => readRichText(each, depth + 1));
  switch (element['type']) {
    case 'rich_text_list':
      return inner()
        .map((text) => `- ${text}`)
        .join('\n');
    case 'rich_text_quote':
      return `> ${inner().join('').replaceAll('\n', '\n> ')}`;
    case 'rich_text_preformatted':
      return `\`\`\`\n${inner().join('')}\n\`\`\``;
    case 'text':
      return stringOf(element['text']);
    case 'link':
      return element['text'] === undefined
        ? stringOf(element['url'])
        : `[${stringOf(element['text'])}](${stringOf(element['url'])})`;
    case 'emoji':
      return `:${stringOf(element['name'])}:`;
    case 'broadcast':
      return `@${stringOf(element['range'])}`;
    case 'user':
      return `@${stringOf(element['user_id'])}`;
    default:
      return inner().join('');
  }
}

/** Returns the text of a Block Kit text object, which is `plain_text` or `mrkdwn`. */
function textOf(object: unknown): string {
  if (!isRecord(object)) return '';
  const text = stringOf(object['text']);
  return object['type'] === 'plain_text' ? text : readMrkdwn(text);
}

/** Returns the objects in a list; an empty list for any other value. */
export function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

/** Returns a string, or a number as a string; an empty string for any other value. */
export function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

import { replaceReferences } from '../core/mrkdwn.ts';

/** Looks up the users and channels that texts from Slack refer to by id. */
export type SlackNames = {
  usernameOf: (id: string) => string | undefined;
  channelNameOf: (id: string) => string | undefined;
};

/**
 * Converts Slack's markup to readable text: `<@U1>` becomes a mention with a username, a link becomes its label and
 * address, and the three escaped characters are unescaped.
 */
export function toPlainText(text: string, names: SlackNames): string {
  return replaceReferences(text, (target, label) => describe(target, label, names));
}

function describe(target: string, label: string, names: SlackNames): string {
  const id = target.slice(1);
  switch (target[0] ?? '') {
    case '@':
      return `@${names.usernameOf(id) ?? (label || id)}`;
    case '#':
      return `#${names.channelNameOf(id) || label || id}`;
    case '!':
      return describeSpecial(id, label);
    default:
      return label === '' || target.endsWith(label) ? target : `${label} (${target})`;
  }
}

/** `<!here>`, `<!subteam^S1|@team>`, `<!date^1392734382^{date}|yesterday>`. */
function describeSpecial(name: string, label: string): string {
  if (label !== '') return label;
  return name.startsWith('subteam^') ? `@${name.slice('subteam^'.length)}` : `@${name}`;
}

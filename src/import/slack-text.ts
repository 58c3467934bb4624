/** Looks up the users and channels that Slack's texts refer to by id. */
export type SlackNames = {
  usernameOf: (id: string) => string | undefined;
  channelNameOf: (id: string) => string | undefined;
};

/**
 * Converts Slack's markup to readable text: `<@U1>` becomes the mention of a username, a link its label and address,
 * and the three escaped characters themselves. See https://docs.slack.dev/messaging/formatting-message-text.
 */
export function toPlainText(text: string, names: SlackNames): string {
  return text
    .replace(/<([^<>\n]{1,4000})>/g, (_, reference: string) => describe(reference, names))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

function describe(reference: string, names: SlackNames): string {
  const bar = reference.indexOf('|');
  const target = bar === -1 ? reference : reference.slice(0, bar);
  const label = bar === -1 ? '' : reference.slice(bar + 1);
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

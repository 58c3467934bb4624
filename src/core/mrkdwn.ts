/** A reference in Slack's mrkdwn, `<…>`: a link, a mention or a command, each with an optional label after `|`. */
const reference = /<([^<>|\n]+)(?:\|([^<>\n]*))?>/g;

const entities: Readonly<Record<string, string>> = { '&lt;': '<', '&gt;': '>', '&amp;': '&' };

/**
 * Replaces each `<target|label>` in Slack's mrkdwn with the result of `describe`, and then unescapes the three escaped
 * characters. `label` is empty if the reference has none. See https://docs.slack.dev/messaging/formatting-message-text.
 */
export function replaceReferences(text: string, describe: (target: string, label: string) => string): string {
  return text
    .replace(reference, (_, target: string, label: string | undefined) => describe(target, label ?? ''))
    .replace(/&(?:lt|gt|amp);/g, (entity) => entities[entity] ?? entity);
}

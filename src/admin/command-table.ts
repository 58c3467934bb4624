import { apiKey } from './api-key-command.ts';
import { Misuse, type Command, type Operator } from './command.ts';
import { erase } from './erase-command.ts';
import { exportData } from './export-command.ts';
import { grant } from './grant-command.ts';
import { reindex } from './reindex-command.ts';
import { resetLink } from './reset-link-command.ts';
import { suspend, unsuspend } from './suspend-command.ts';

/** The commands of `npm run -s admin`, by name. */
const commands: Record<string, Command> = {
  grant,
  suspend,
  unsuspend,
  erase,
  export: exportData,
  reindex,
  'reset-link': resetLink,
  'api-key': apiKey,
};

/** Lists the commands. */
export function describeCommands(): string {
  const lines = Object.values(commands).flatMap(({ usage, meaning }) => [`  ${usage}`, `      ${meaning}`]);
  return ['Usage: npm run -s admin -- COMMAND', ...lines].join('\n');
}

/**
 * Finds the command that `args` begin with, and returns a function that runs it.
 * Throws Misuse if there is no such command.
 */
export function findCommand([name = '', ...args]: string[]): (operator: Operator) => Promise<string> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new Misuse(name === '' ? 'Name a command.' : `There is no command ${name}.`);
  return (operator) => command.run(operator, args);
}

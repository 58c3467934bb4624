import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Services } from './context.ts';

/** The version of parley, from package.json. */
export const { version: apiVersion } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'),
) as { version: string };

/**
 * The current level of the API. Increase it by one with each release that adds to the API, so that clients can check
 * for the addition. `npm run check` compares the level with that of the last release. 1: the first release's core. 2:
 * identity, mail, invites and moderation. 3: keys, bots, webhooks and stored documents. 4: `Chat.lastMessage`,
 * `lastActivityAt` and `peer`, `NewMessage.edge`, `Query.user`.
 */
export const apiLevel = 4;

/** The maximum length of a feature's name in bytes. */
export const maxFeatureLength = 32;
/** The maximum number of features that a server can have. */
export const maxFeatures = 50;

const features = new Map<string, (services: Services) => boolean>();

/**
 * Declares a feature that clients find in `api.features`. A slice calls this in its edge. `isOffered` returns whether
 * this server, with its settings, offers the feature.
 */
export function defineFeature(name: string, isOffered: (services: Services) => boolean = () => true): void {
  if (features.has(name)) throw new Error(`the feature ${name} is defined twice`);
  if (name.length > maxFeatureLength || features.size === maxFeatures)
    throw new Error(`the name ${name} is too long, or there are too many features`);
  features.set(name, isOffered);
}

/** Returns the names of the features that this server offers, in alphabetical order. */
export function listFeatures(services: Services): string[] {
  return [...features].flatMap(([name, isOffered]) => (isOffered(services) ? name : [])).toSorted();
}

import type { Services } from './context.ts';

/**
 * The level of the API. Increase it by one with each release that adds to the API, so that clients can check for the
 * addition. 1: the first release's core. 2: identity, mail, invites and moderation.
 */
export const apiLevel = 2;

/** How many bytes the name of a feature has at most. */
export const maxFeatureLength = 32;
/** How many features a server can have. */
export const maxFeatures = 50;

const features = new Map<string, (services: Services) => boolean>();

/**
 * Declares a feature that clients find in `api.features`; a slice does so in its edge. `isOffered` tells whether this
 * server, with its settings, offers it.
 */
export function defineFeature(name: string, isOffered: (services: Services) => boolean = () => true): void {
  if (features.has(name)) throw new Error(`the feature ${name} is defined twice`);
  if (name.length > maxFeatureLength || features.size === maxFeatures)
    throw new Error(`too much of a feature: ${name}`);
  features.set(name, isOffered);
}

/** The names of the features that this server offers, in alphabetical order. */
export function listFeatures(services: Services): string[] {
  return [...features].flatMap(([name, isOffered]) => (isOffered(services) ? name : [])).toSorted();
}

import { builder } from './builder.ts';
import { apiLevel, apiVersion, listFeatures, maxFeatureLength, maxFeatures } from './feature.ts';
import { asciiSize } from './field-size.ts';

const Api = builder.objectRef<object>('Api').implement({
  description: 'What this server is and offers. Needs no access token.',
  fields: (t) => ({
    version: t.string({ extensions: asciiSize(64), resolve: () => apiVersion }),
    level: t.int({
      description: 'Grows with each addition to the API: check it before you use something new.',
      resolve: () => apiLevel,
    }),
    features: t.stringList({
      extensions: asciiSize(maxFeatureLength),
      complexity: { field: 1, multiplier: maxFeatures },
      description: `What this server offers, given its settings: \`MAIL\` (it sends email), \`SIGN_UP\` (users can create accounts),
\`SIGN_UP_BY_INVITE\` (but only with an invite), \`SIGN_UP_CONFIRM\` (signUp returns SignUpStarted), \`INVITES\`, \`FILES\`,
\`SEARCH\`, \`TYPING\`, \`PRESENCE\`. Ignore those that you do not know.`,
      resolve: (_, __, context) => listFeatures(context),
    }),
  }),
});

builder.queryField('api', (t) => t.field({ type: Api, resolve: () => ({}) }));

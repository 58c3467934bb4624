import { builder } from './builder.ts';
import { apiLevel, apiVersion, listFeatures, maxFeatureLength, maxFeatures } from './feature.ts';
import { asciiSize } from './field-size.ts';

const Api = builder.objectRef<object>('Api').implement({
  description: 'Describes this server and its features. No access token is needed.',
  fields: (t) => ({
    version: t.string({ extensions: asciiSize(64), resolve: () => apiVersion }),
    level: t.int({
      description: 'Increases with each addition to the API. Check the level before you use an addition.',
      resolve: () => apiLevel,
    }),
    features: t.stringList({
      extensions: asciiSize(maxFeatureLength),
      complexity: { field: 1, multiplier: maxFeatures },
      description: `The features of this server, which depend on its settings: \`MAIL\` (the server sends email), \`SIGN_UP\` (users can create accounts), \`SIGN_UP_BY_INVITE\` (users need an invite to do so), \`SIGN_UP_CONFIRM\` (signUp returns SignUpStarted), \`INVITES\`, \`FILES\`,
\`SEARCH\`, \`TYPING\`, \`PRESENCE\`. Ignore features that you do not know.`,
      resolve: (_, __, context) => listFeatures(context),
    }),
  }),
});

builder.queryField('api', (t) => t.field({ type: Api, resolve: () => ({}) }));

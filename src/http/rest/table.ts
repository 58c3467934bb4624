import { accountRoutes } from './account-route.ts';
import { chatRoutes } from './chat-route.ts';
import { memberRoutes } from './member-route.ts';
import { messageRoutes } from './message-route.ts';
import type { Route } from './route.ts';
import { userRoutes } from './user-route.ts';

/**
 * The table of the REST API, with one row for each route. Uploads, downloads, exports, imports, events and incoming
 * webhooks have their own handlers.
 */
export const routes: readonly Route[] = [
  ...accountRoutes,
  ...userRoutes,
  ...chatRoutes,
  ...memberRoutes,
  ...messageRoutes,
];

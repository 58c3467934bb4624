// The edges of the server, which clients reach through GraphQL and other HTTP routes. Import each new edge here; no
// other file may import an edge.
import './account/account-deletion.graphql.ts';
import './account/account.graphql.ts';
import './account/email.graphql.ts';
import './account/password-reset.graphql.ts';
import './account/program.graphql.ts';
import './account/session.graphql.ts';
import './account/user-upsert.graphql.ts';
import './account/viewer.graphql.ts';
import './admin/admin-chat.graphql.ts';
import './admin/admin-user.graphql.ts';
import './admin/admin.graphql.ts';
import './admin/api-key.graphql.ts';
import './admin/audit-entry.graphql.ts';
import './admin/report.graphql.ts';
import './api/api.graphql.ts';
import './api/error.graphql.ts';
import './api/event.graphql.ts';
import './api/node.graphql.ts';
import './api/subscription.graphql.ts';
import './chat/ban.graphql.ts';
import './chat/chat-change.graphql.ts';
import './chat/chat-event.graphql.ts';
import './chat/chat-upsert.graphql.ts';
import './chat/chat.graphql.ts';
import './chat/invite.graphql.ts';
import './chat/member.graphql.ts';
import './chat/membership.graphql.ts';
import './chat/mute.graphql.ts';
import './chat/notification-level.graphql.ts';
import './chat/peer.graphql.ts';
import './chat/public-channel.graphql.ts';
import './chat/read-marker.graphql.ts';
import './chat/right.graphql.ts';
import './chat/typing.graphql.ts';
import './file/avatar.graphql.ts';
import './file/file.graphql.ts';
import './file/upload.graphql.ts';
import './message/history.graphql.ts';
import './message/incoming-webhook.graphql.ts';
import './message/last-message.graphql.ts';
import './message/mention.graphql.ts';
import './message/message-edit.graphql.ts';
import './message/message-event.graphql.ts';
import './message/message.graphql.ts';
import './message/pin.graphql.ts';
import './message/reaction.graphql.ts';
import './message/right.graphql.ts';
import './people/block.graphql.ts';
import './people/presence.graphql.ts';
import './people/user.graphql.ts';
import './search/search.graphql.ts';
import './webhook/webhook.graphql.ts';
import { buildSchema } from './api/schema.ts';
import { serveExport } from './account/export.http.ts';
import { serveLogout } from './account/logout.http.ts';
import { serveDownload } from './file/download.http.ts';
import { serveGraphqlUpload } from './file/graphql-upload.http.ts';
import { serveTus } from './file/tus.http.ts';
import { serveUpload } from './file/upload.http.ts';
import { serveImport } from './import/import.http.ts';
import { createWebhookKeeper } from './webhook/webhook-delivery.http.ts';
import { serveIncomingWebhooks } from './message/incoming-webhook.http.ts';

/** The whole API. When this line runs, the GraphQL edges have registered their types on the builder. */
export const schema = buildSchema();

/** The functions in the `*.http.ts` edges, which role.ts uses to make a node's handlers and its webhook keeper. */
export const httpEdges = {
  createWebhookKeeper,
  serveDownload,
  serveExport,
  serveGraphqlUpload,
  serveImport,
  serveLogout,
  serveTus,
  serveUpload,
  serveIncomingWebhooks,
};

import { randomBytes } from 'node:crypto';
import sharp from 'sharp';
import type { Data, Person } from './client.ts';
import { upload } from './file.ts';
import type { TestServer } from './server.ts';

const avatar = `avatar {
  id width height blurhash url small: thumbnailUrl(size: SMALL) large: thumbnailUrl(size: LARGE)
}`;

/** Returns a picture whose bytes are unique. */
export async function paint(side = 40): Promise<Uint8Array<ArrayBuffer>> {
  const noise = { raw: { width: side, height: side, channels: 3 as const } };
  return new Uint8Array(
    await sharp(randomBytes(side * side * 3), noise)
      .png()
      .toBuffer(),
  );
}

/** Uploads a unique picture. Returns its id. */
export async function uploadPicture(server: TestServer, by: Person): Promise<string> {
  return (await upload(server, by, await paint(), 'me.png')).id;
}

/** Sets a file as the avatar of the user or of a chat. Returns the whole result, including errors. */
export async function setAvatar(by: Person, fileId: string | null, chatId?: string): Promise<Data> {
  const document = `mutation ($fileId: ID, $chatId: ID) {
    setAvatar(fileId: $fileId, chatId: $chatId) {
      __typename
      ... on User { id ${avatar} }
      ... on Chat { id ${avatar} }
      ... on Error { code message }
      ... on InvalidInput { fields { path message } }
    }
  }`;
  return (await by.ask(document, { fileId, chatId })).setAvatar;
}

/**
 * Returns the avatar of a user or a chat as `by` sees it: null if there is none, undefined if `by` cannot see the chat.
 */
export async function avatarOf(id: string, by: Person): Promise<Data> {
  const document = `query ($id: ID!) { node(id: $id) { ... on User { ${avatar} } ... on Chat { ${avatar} } } }`;
  return (await by.ask(document, { id })).node?.avatar;
}

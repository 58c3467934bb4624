/** How long an embedding product's key of a user or a chat may be, in characters. */
export const maxExternalKeyLength = 255;

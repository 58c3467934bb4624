import { builder } from '../api/builder.ts';
import type { Asker } from '../core/asker.ts';

/** The private data of the signed-in user. */
export const ViewerRef = builder.objectRef<{ asker: Asker }>('Viewer');

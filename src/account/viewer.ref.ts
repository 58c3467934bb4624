import { builder } from '../api/builder.ts';
import type { Asker } from '../core/asker.ts';

/** What only the signed-in user sees of themselves. */
export const ViewerRef = builder.objectRef<{ asker: Asker }>('Viewer');

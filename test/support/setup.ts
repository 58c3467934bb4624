import { afterAll } from 'vitest';
import { endFile } from './file-end.ts';

// Vitest runs this for each test file, and runs its hook after all of the file's own hooks.
afterAll(endFile);

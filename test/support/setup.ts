import { afterAll } from 'vitest';
import { endFile } from './file-end.ts';

// Vitest runs this code for each test file, and runs this hook after all hooks of the file itself.
afterAll(endFile);

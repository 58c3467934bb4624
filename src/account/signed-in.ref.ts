import { builder } from '../api/builder.ts';
import type { SignedIn } from './session.ts';

/** The tokens of a new session, and its viewer. */
export const SignedInRef = builder.objectRef<SignedIn>('SignedIn');

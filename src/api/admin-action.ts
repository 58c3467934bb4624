import { errorTypeMap } from '@pothos/plugin-errors';
import { describeCaller } from '../core/asker.ts';
import { requestScope } from '../core/request-scope.ts';
import { ExpectedError } from '../errors.ts';
import type { Resolver } from './limit.ts';
import { rootAccess } from './scope-table.ts';

/** The scopes for administering the server. A mutation that requires only these scopes is an admin action. */
const staffScopes = new Set<string>(['MODERATE', 'ADMIN']);

/** Reports each use of a mutation that is reserved for the server staff, with its outcome. */
export function noteAdminAction(name: string, resolve: Resolver): Resolver {
  if (!isAdminAction(name)) return resolve;
  return async (source, args, context, info) => {
    let outcome = 'DONE';
    try {
      const result: unknown = await resolve(source, args, context, info);
      if (isRefusal(result)) outcome = String(Reflect.get(result, 'code'));
      return result;
    } catch (error) {
      outcome = error instanceof ExpectedError ? error.code : 'FAILED';
      throw error;
    } finally {
      const caller = requestScope.getStore()?.caller ?? null;
      context.report('info', 'an admin action', {
        action: name,
        outcome,
        on: idsIn(args),
        ...describeCaller(caller),
      });
    }
  };
}

/**
 * Returns whether a field's result is one of the errors in its union, which the errors plugin hides from `instanceof`.
 */
function isRefusal(result: unknown): result is object {
  return typeof result === 'object' && result !== null && errorTypeMap.has(result);
}

/** Returns only the arguments that are ids. The ids alone identify no person to a reader of the log. */
function idsIn(args: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(args).filter(([name, value]) => name.endsWith('Id') && isShortText(value)));
}

function isShortText(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 100;
}

/** Returns whether the mutation is reserved for the server staff. */
function isAdminAction(name: string): boolean {
  const access = rootAccess.Mutation[name];
  if (access === undefined || typeof access === 'string') return false;
  const scopes = 'any' in access ? access.any : access.all;
  return scopes.length > 0 && scopes.every((scope) => staffScopes.has(scope));
}

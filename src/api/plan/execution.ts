import {
  defaultFieldResolver,
  defaultTypeResolver,
  getArgumentValues,
  GraphQLError,
  locatedError,
  OperationTypeNode,
  type ExecutionResult,
  type GraphQLAbstractType,
  type GraphQLObjectType,
} from 'graphql';
import { inspect } from 'graphql/jsutils/inspect.js';
import { isPromise, type Soon } from '../../core/soon.ts';
import { Answer } from './answer.ts';
import { Frame } from './frame.ts';
import { memberOf, nameOf } from './member.ts';
import { Place, type Shared } from './place.ts';
import type { FieldPlan, Plan, ValuePlan, Variables } from './plan.ts';

/** The coerced variables of an execution, and the arguments read from them so far, by field. */
export type Inputs = { variables: Variables; arguments: Map<FieldPlan, Readonly<Record<string, unknown>>> };

/**
 * One execution of a plan. It calls the same resolvers as graphql-js, in the same order, and produces the same answer.
 * Instead of creating a promise for each level of the answer, it counts the pending values of each frame, and puts each
 * value that arrives directly in its place.
 */
export class PlanExecution {
  readonly #plan: Plan;
  readonly #context: unknown;
  readonly #shared: Shared;
  readonly #arguments: Inputs['arguments'];
  readonly #answer: Answer;
  /** The index of the mutation field to run next. */
  #next = 0;

  constructor(plan: Plan, { rootValue, context, inputs }: { rootValue: unknown; context: unknown; inputs: Inputs }) {
    this.#plan = plan;
    this.#context = context;
    this.#shared = { plan, variables: inputs.variables, rootValue };
    this.#arguments = inputs.arguments;
    this.#answer = new Answer(plan.rootType.name, () => this.#runNext());
  }

  /**
   * Runs the execution. Call this method only once. Returns the answer synchronously if nothing had to be awaited.
   * Never rejects, because errors are part of the answer.
   */
  run(): Soon<ExecutionResult> {
    if (this.#plan.operation.operation === OperationTypeNode.MUTATION) this.#runNext();
    else {
      this.#next = this.#plan.root.length;
      this.#runRoot(this.#plan.root);
    }
    return this.#answer.result;
  }

  #runRoot(fields: readonly FieldPlan[]): void {
    try {
      this.#runFields(this.#answer.root, fields, this.#shared.rootValue);
    } catch (error) {
      return this.#answer.failFrame(this.#answer.root, error as Error);
    }
    if (this.#answer.root.pending === 0) this.#answer.finish(this.#answer.root);
  }

  /**
   * Runs a mutation's next field once everything selected under the previous field is complete. Returns false if no
   * field is left.
   */
  #runNext(): boolean {
    const field = this.#plan.root[this.#next];
    if (field === undefined) return false;
    this.#next += 1;
    this.#runRoot([field]);
    return true;
  }

  #runFields(frame: Frame, fields: readonly FieldPlan[], source: unknown): void {
    try {
      for (const field of fields) this.#runField(frame, field, source);
    } catch (error) {
      if (frame.pending === 0) throw error;
      // As in graphql-js, errors of earlier fields take precedence over errors of later fields.
      frame.error = error as Error;
    }
  }

  #runField(frame: Frame, field: FieldPlan, source: unknown): void {
    const { key, value, read } = field;
    if (read === null || typeof source !== 'object' || source === null) {
      return this.#resolveField(this.#placeOf(frame, field), source);
    }
    let found: unknown;
    // Most leaf values are available synchronously, and need no `Place` unless they fail.
    try {
      found = read(source as Record<string, unknown>);
      if (value.leaf !== null && isScalar(found)) {
        frame.result[key] = value.leaf(found);
        return;
      }
    } catch (error) {
      return this.#failValue(this.#placeOf(frame, field), error);
    }
    if (found === null && !value.isRequired) frame.result[key] = null;
    // A property may also be a function that returns the value.
    else if (typeof found === 'function') this.#resolveField(this.#placeOf(frame, field), source);
    else this.#put(this.#placeOf(frame, field), found);
  }

  #placeOf(frame: Frame, field: FieldPlan): Place {
    return new Place(frame, field.key, { field, value: field.value, shared: this.#shared });
  }

  #resolveField(place: Place, source: unknown): void {
    const { field } = place;
    let found: unknown;
    try {
      const resolve = field.definition.resolve ?? defaultFieldResolver;
      found = resolve(source, this.#argumentsOf(field), this.#context, place);
    } catch (error) {
      return this.#failValue(place, error);
    }
    this.#put(place, found);
  }

  /** All objects in a list share the same arguments. */
  #argumentsOf(field: FieldPlan): Record<string, unknown> {
    if (field.constants !== null) return field.constants;
    const known = this.#arguments.get(field);
    if (known !== undefined) return known;
    const [node] = field.nodes;
    if (node === undefined) throw new Error(`${nameOf(field)} has no node`);
    const given = Object.freeze(getArgumentValues(field.definition, node, this.#shared.variables));
    this.#arguments.set(field, given);
    return given;
  }

  /**
   * Puts a value in its place, either now or when its promise resolves. Throws if the value has failed and its frame
   * requires it.
   */
  #put(place: Place, found: unknown): void {
    const { frame, key } = place;
    if (isPromise(found)) {
      // Reserves the position of the key in the answer.
      frame.result[key] = undefined;
      this.#await(place, found, (arrived) => this.#complete(place, arrived));
      return;
    }
    try {
      frame.result[key] = this.#complete(place, found);
    } catch (error) {
      this.#failValue(place, error);
    }
  }

  #await<Value>(place: Place, promise: PromiseLike<Value>, complete: (value: Value) => unknown): void {
    const { frame, key } = place;
    frame.pending += 1;
    const fail = (error: unknown) => {
      this.#answer.failPlace(place, this.#locate(place, error));
      this.#answer.countDown(frame);
    };
    promise.then((value) => {
      try {
        frame.result[key] = complete(value);
      } catch (error) {
        return fail(error);
      }
      this.#answer.countDown(frame);
    }, fail);
  }

  #complete(place: Place, found: unknown): unknown {
    if (found instanceof Error) throw found;
    const { value, field } = place;
    if (found == null) {
      if (!value.isRequired) return null;
      throw new Error(`Cannot return null for non-nullable field ${nameOf(field)}.`);
    }
    if (value.leaf !== null) return value.leaf(found);
    if (value.item !== null) return this.#completeList(place, value.item, found);
    if (value.object !== null) return this.#completeTyped(place, value.object, found);
    return value.abstract === null ? null : this.#completeAbstract(place, value.abstract, found);
  }

  #completeList(place: Place, item: ValuePlan, found: unknown): unknown[] {
    const { frame, field, value } = place;
    if (typeof found !== 'object' || found === null || !(Symbol.iterator in found)) {
      throw new GraphQLError(`Expected Iterable, but did not find one for field "${nameOf(field)}".`);
    }
    const items: unknown[] = [];
    const list = new Frame(
      frame,
      { key: place.key, isRequired: value.isRequired, typeName: undefined },
      items as never,
    );
    try {
      for (const each of found as Iterable<unknown>) {
        const key = items.length;
        // Keeps the index of the next item correct, even if this item fails.
        items.push(undefined);
        this.#put(place.itemAt(list, key, item), each);
      }
    } catch (error) {
      list.isSettled = true;
      throw error;
    }
    if (list.pending > 0) frame.pending += 1;
    return items;
  }

  #completeAbstract(place: Place, type: GraphQLAbstractType, found: unknown): unknown {
    const resolve = type.resolveType ?? defaultTypeResolver;
    const name = resolve(found, this.#context, place.info, type);
    const complete = (arrived: unknown) =>
      this.#completeTyped(
        place,
        memberOf(type, { schema: this.#plan.schema, field: place.field, name: arrived, found }),
        found,
      );
    if (!isPromise(name)) return complete(name);
    this.#await(place, name, complete);
    return undefined;
  }

  #completeTyped(place: Place, type: GraphQLObjectType, found: unknown): unknown {
    const isOfType = type.isTypeOf?.(found, this.#context, place.info) ?? true;
    if (isOfType === true) return this.#completeObject(place, type, found);
    const complete = (answer: boolean) => {
      if (answer) return this.#completeObject(place, type, found);
      throw new GraphQLError(`Expected value of type "${type.name}" but got: ${inspect(found)}.`, {
        nodes: place.field.nodes,
      });
    };
    if (!isPromise(isOfType)) return complete(isOfType);
    this.#await(place, isOfType, complete);
    return undefined;
  }

  #completeObject(place: Place, type: GraphQLObjectType, found: unknown): Record<string, unknown> {
    const { frame, field, value } = place;
    const child = new Frame(frame, { key: place.key, isRequired: value.isRequired, typeName: type.name }, {});
    this.#runFields(child, this.#plan.select(value, type, field.nodes), found);
    if (child.pending > 0) frame.pending += 1;
    return child.result;
  }

  #locate({ frame, key, field }: Place, error: unknown): GraphQLError {
    return locatedError(error, field.nodes, frame.keysTo(key));
  }

  /** Records an error that occurs while the frame is being filled, or throws the error if the value is required. */
  #failValue(place: Place, error: unknown): void {
    const located = this.#locate(place, error);
    if (place.value.isRequired) throw located;
    this.#answer.failPlace(place, located);
  }
}

/** Returns whether a leaf's value is certainly neither a promise nor an error. */
function isScalar(found: unknown): boolean {
  return typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean' || found instanceof Date;
}

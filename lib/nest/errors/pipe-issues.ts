import { isPromise } from '../../core/ports/maybe-promise.js';
import { isRecord } from '../../protocol/validation/checks.js';

/** What Nest's validation pipes found, by the exception that they made of it. */
const issuesByException = new WeakMap<object, unknown>();
const watched = new WeakSet<object>();

/** What a pipe found, where it made this exception of it; `undefined` for other errors. */
export function issuesOf(exception: unknown): unknown {
  return isRecord(exception) ? issuesByException.get(exception) : undefined;
}

/**
 * Keeps what a validation pipe of Nest finds beside the exception that it makes, which holds only texts. The exception itself
 * stays as the pipe made it, for HTTP too. Other pipes are left alone.
 */
export function watchIssues(pipe: unknown): void {
  if (!isRecord(pipe) || watched.has(pipe) || typeof pipe.exceptionFactory !== 'function') return;
  watched.add(pipe);
  const make = pipe.exceptionFactory as (issues: unknown) => unknown;
  const watching = (issues: unknown): unknown => {
    const keep = (exception: unknown): unknown => {
      if (isRecord(exception)) issuesByException.set(exception, issues);
      return exception;
    };
    const made = make.call(pipe, issues);
    return isPromise(made) ? made.then(keep) : keep(made);
  };
  // A frozen pipe keeps its own.
  Reflect.set(pipe, 'exceptionFactory', watching);
}

import { isPromise } from '../../core/ports/maybe-promise.js';

/**
 * A rule of the application whose answer is needed at once. A promise would count as true, so one that gives a promise says
 * nothing: its requests are refused.
 *
 * @param option that the rule belongs to, for the error.
 * @throws TypeError for an `async` function, here; and from the rule where it returns a promise.
 */
export function answeringAtOnce<P extends readonly unknown[]>(
  option: string,
  rule: (...given: P) => unknown,
): (...given: P) => boolean {
  const problem = `${option}: The function returns a promise. Look up beforehand what it needs, and return true or false at once.`;
  if (rule.constructor.name === 'AsyncFunction') throw new TypeError(problem);
  return (...given) => {
    const answer = rule(...given);
    if (!isPromise(answer)) return Boolean(answer);
    // What becomes of it is nobody's business, and must not end the process.
    answer.then(undefined, () => undefined);
    throw new TypeError(problem);
  };
}

/**
 * What the suite needs of a test runner. Jest's and Vitest's own functions fit as they are, and so does every runner
 * with the same shapes. These types are our own, so that the package depends on no runner.
 *
 * @example
 * import { afterEach, beforeEach, describe, expect, it } from 'vitest'; // or from '@jest/globals'
 *
 * const runner: ContractRunner = { describe, it, expect, beforeEach, afterEach };
 */
export interface ContractRunner {
  /** Opens a group of tests; `body` is called at once and registers them. */
  readonly describe: (title: string, body: () => void) => void;
  /**
   * Registers a test, which fails when its promise rejects or `timeoutMs` milliseconds have passed. A runner may ignore
   * `timeoutMs`, as `node:test` does: its own time-out holds then.
   */
  readonly it: (title: string, body: () => Promise<void>, timeoutMs?: number) => void;
  /** Starts an assertion. */
  readonly expect: ContractExpect;
  /** Registers what runs before each test of the group. */
  readonly beforeEach: (body: () => Promise<void>, timeoutMs?: number) => void;
  /** Registers what runs after each test of the group, also when the test failed. */
  readonly afterEach: (body: () => Promise<void>, timeoutMs?: number) => void;
}

/** Jest's `expect`, as far as the suite uses it. */
export interface ContractExpect {
  /** Starts an assertion about a value. */
  (actual: unknown): ContractMatchers;
  /** Equals every value that `constructor` makes, e.g. `any(Number)`. */
  any(constructor: unknown): unknown;
  /** Equals an array that holds every one of `items`, in any order. */
  arrayContaining(items: unknown[]): unknown;
  /** Equals a string that the pattern matches. */
  stringMatching(pattern: RegExp): unknown;
}

/** Jest's matchers, as far as the suite uses them. Each throws when it does not hold. */
export interface ContractMatchers {
  /** The same assertion, negated. */
  readonly not: Omit<ContractMatchers, 'not'>;
  /** The same value, by `Object.is`. */
  toBe(expected: unknown): void;
  /** A number above `expected`. */
  toBeGreaterThan(expected: number): void;
  /** A number of at least `expected`. */
  toBeGreaterThanOrEqual(expected: number): void;
  /** A number of at most `expected`. */
  toBeLessThanOrEqual(expected: number): void;
  /** The value `undefined`. */
  toBeUndefined(): void;
  /** An array that holds `item`. */
  toContain(item: unknown): void;
  /** Deeply equal; a property that is `undefined` counts as absent. */
  toEqual(expected: unknown): void;
  /** An array or a text of this length. */
  toHaveLength(length: number): void;
  /** A text that the pattern matches. */
  toMatch(pattern: RegExp): void;
  /** Deeply equal in the properties of `expected`; others are ignored. Arrays have the same length. */
  toMatchObject(expected: object): void;
}

import { expect } from '@jest/globals';
import type { ContractRunner } from '../../../lib/brokers/contract/index.js';

type Body = () => Promise<void>;

interface Hook {
  readonly depth: number;
  readonly body: Body;
  readonly timeoutMs: number | undefined;
}

/** A test that was registered, with its hooks. */
export interface Registered extends Omit<TestResult, 'failures'> {
  readonly steps: readonly Omit<Hook, 'depth'>[];
}

/** What became of one test; it passed when there are no failures. */
export interface TestResult {
  /** Titles of the groups around it, from the outermost. */
  readonly groups: readonly string[];
  readonly title: string;
  readonly failures: readonly Error[];
}

/**
 * A small test runner inside a test: registers what a suite describes, runs it when told to, and keeps the results, so
 * that a test may expect failures.
 *
 * @example
 * const runner = new RecordingRunner();
 * describeBrokerContract(runner, 'memory', memoryHarness);
 * const results = await runner.run();
 */
export class RecordingRunner implements ContractRunner {
  readonly expect = expect;
  private readonly groups: string[] = [];
  private readonly before: Hook[] = [];
  private readonly after: Hook[] = [];
  readonly tests: Registered[] = [];

  readonly describe = (title: string, body: () => void): void => {
    const before = this.tests.length;
    this.groups.push(title);
    body();
    // As Vitest does.
    if (this.tests.length === before) throw new Error(`No test found in the group ${title}`);
    this.groups.pop();
    for (const hooks of [this.before, this.after]) {
      while ((hooks.at(-1)?.depth ?? 0) > this.groups.length) hooks.pop();
    }
  };

  readonly beforeEach = (body: Body, timeoutMs?: number): void => {
    this.before.push({ depth: this.groups.length, body, timeoutMs });
  };

  readonly afterEach = (body: Body, timeoutMs?: number): void => {
    this.after.push({ depth: this.groups.length, body, timeoutMs });
  };

  readonly it = (title: string, body: Body, timeoutMs?: number): void => {
    const steps = [...this.before, { body, timeoutMs }, ...[...this.after].reverse()];
    this.tests.push({ groups: [...this.groups], title, steps });
  };

  /**
   * Runs tests, one after another. A failed step keeps none of those behind it from running.
   *
   * @param isWanted Default: every test.
   */
  async run(isWanted: (test: Registered) => boolean = () => true): Promise<readonly TestResult[]> {
    const results: TestResult[] = [];
    for (const { groups, title, steps } of this.tests.filter(isWanted)) {
      const failures: Error[] = [];
      for (const { body, timeoutMs } of steps) {
        await withTimeout(body, timeoutMs).catch((error: unknown) =>
          failures.push(error instanceof Error ? error : new Error(String(error))),
        );
      }
      results.push({ groups, title, failures });
    }
    return results;
  }
}

async function withTimeout(body: Body, timeoutMs = 5_000): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Took longer than ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([body(), late]);
  } finally {
    clearTimeout(timer);
  }
}

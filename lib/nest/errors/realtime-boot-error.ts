/** One mistake in the set-up: where it is, what is wrong, and what to do. */
export interface BootProblem {
  /** Path of the option, or class and method. */
  readonly path: string;
  /** What is wrong there: a sentence that goes on from the path. */
  readonly problem: string;
  /** What to write instead. */
  readonly remedy: string;
}

/**
 * The application is set up in a way that cannot work, or that would promise less than it says. Thrown at boot, with
 * everything that was found, so that one run shows all of it.
 */
export class RealtimeBootError extends Error {
  /** Always `RealtimeBootError`. */
  override readonly name = 'RealtimeBootError';

  /** Everything that was found, one entry for each mistake. */
  declare readonly problems: readonly BootProblem[];

  constructor(problems: readonly BootProblem[], options?: { readonly cause?: unknown }) {
    const lines = problems.map(({ path, problem, remedy }) => `- ${path}: ${problem} ${remedy}`);
    super(['RealtimeModule cannot start:', ...lines].join('\n'), options);
    // Not enumerable: Node prints an error with its fields, and the message has said it all.
    Object.defineProperty(this, 'problems', { value: problems });
  }
}

/** Collects problems, to be thrown together. */
export class BootProblems {
  private readonly found: BootProblem[] = [];

  add(path: string, problem: string, remedy: string): void {
    // A guard of a class stands before each of its handlers; once is enough.
    if (this.found.some((known) => known.path === path && known.problem === problem)) return;
    this.found.push({ path, problem, remedy });
  }

  /** @throws RealtimeBootError when there is at least one problem. */
  throwIfAny(): void {
    if (this.found.length > 0) throw new RealtimeBootError(this.found);
  }
}

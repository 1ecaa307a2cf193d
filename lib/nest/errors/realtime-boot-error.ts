import type { FactoryProvider } from '@nestjs/common';
import { withoutUserinfo } from '../../core/ports/log-text.js';

/** One mistake in the set-up: where it is, what is wrong, and what to write instead. */
export interface BootProblem {
  /** Path of the option, or class and method. */
  readonly path: string;
  /** What is wrong there: continues a sentence that begins with the path. */
  readonly problem: string;
  /** What to write instead. */
  readonly remedy: string;
}

/**
 * The application is set up in a way that cannot work, or cannot keep what it promises. Thrown at boot, with all mistakes
 * at once.
 */
export class RealtimeBootError extends Error {
  /** Always `RealtimeBootError`. */
  override readonly name = 'RealtimeBootError';

  /** One entry for each mistake. */
  declare readonly problems: readonly BootProblem[];

  constructor(problems: readonly BootProblem[], options?: { readonly cause?: unknown }) {
    const lines = problems.map(({ path, problem, remedy }) => `- ${path}: ${problem} ${remedy}`);
    super(withoutUserinfo(['RealtimeModule cannot start:', ...lines].join('\n')), options);
    // Not enumerable: Node prints the fields of an error, and the message contains them already.
    Object.defineProperty(this, 'problems', { value: problems });
  }
}

/** Collects mistakes, to be thrown together. */
export class BootProblems {
  private readonly found: BootProblem[] = [];

  add(path: string, problem: string, remedy: string): void {
    // What is wrong with a class may be found once for each of its handlers.
    if (this.found.some((known) => known.path === path && known.problem === problem)) return;
    this.found.push({ path, problem, remedy });
  }

  /** @throws RealtimeBootError when there is at least one problem. */
  throwIfAny(): void {
    if (this.found.length > 0) throw new RealtimeBootError(this.found);
  }
}

/**
 * For the metadata of a module's class, which a bare import has too: without what its `forRoot()` provides the module does nothing, and
 * the application does not start.
 *
 * @param token of the options.
 * @param call as the application should write it.
 */
export function optionsRequired(token: symbol, module: string, call: string): FactoryProvider {
  return {
    provide: Symbol(`${module} has options`),
    inject: [{ token, optional: true }],
    useFactory: (options?: object) => {
      if (options !== undefined) return true;
      throw new RealtimeBootError([
        {
          path: module,
          problem: 'is imported without options, and does nothing.',
          remedy: `Write imports: [${call}], once, and leave the other imports of the class out.`,
        },
      ]);
    },
  };
}

/** @throws RealtimeBootError where a module that looks at the runtime is in an application that has none. */
export function requireRuntime(runtime: object | undefined, module: string): void {
  if (runtime !== undefined) return;
  throw new RealtimeBootError([
    {
      path: module,
      problem: 'is imported in an application that has no RealtimeModule.',
      remedy: 'Import RealtimeModule.forRoot() first, in the root module.',
    },
  ]);
}

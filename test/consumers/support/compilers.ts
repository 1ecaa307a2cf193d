import { join } from 'node:path';
import { finish } from './run.js';
import type { Workspace } from './workspace.js';

/** How a project compiles and resolves modules. */
export interface ModuleSetting {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Endings of the files that import: `.mts` and `.cts` say ESM and CommonJS, `.ts` leaves it to `module`. */
  readonly importers: readonly ('ts' | 'mts' | 'cts')[];
  /** Major versions of TypeScript that know the setting. */
  readonly compilers: readonly number[];
  /** Where it cannot work: the importers, and the one diagnostic that says so. */
  readonly refused?: { readonly importer: 'cts'; readonly code: string };
}

/** TS1479: a CommonJS module cannot `require` an ES module, which Node 20.19 and newer can. */
const REQUIRE_OF_ESM = 'TS1479';

export const MODULE_SETTINGS: readonly ModuleSetting[] = [
  {
    name: 'node10 (module commonjs)',
    options: { module: 'commonjs', moduleResolution: 'node10' },
    importers: ['ts'],
    compilers: [5, 6],
  },
  {
    name: 'node16',
    options: { module: 'node16' },
    importers: ['mts', 'cts'],
    compilers: [5, 6, 7],
    refused: { importer: 'cts', code: REQUIRE_OF_ESM },
  },
  {
    name: 'node16 (module node20)',
    options: { module: 'node20' },
    importers: ['mts', 'cts'],
    compilers: [5, 6, 7],
  },
  {
    name: 'nodenext',
    options: { module: 'nodenext' },
    importers: ['mts', 'cts'],
    compilers: [5, 6, 7],
  },
  {
    name: 'bundler (module esnext)',
    options: { module: 'esnext', moduleResolution: 'bundler' },
    importers: ['ts'],
    compilers: [5, 6, 7],
  },
  {
    name: 'bundler (module commonjs)',
    options: { module: 'commonjs', moduleResolution: 'bundler' },
    importers: ['ts'],
    compilers: [6, 7],
  },
];

/** A line of the compiler's output. */
export interface Diagnostic {
  /** Relative to the project; empty when it is about the options. */
  readonly file: string;
  readonly code: string;
  readonly message: string;
}

/** What the compiler said and read. */
export interface Compilation {
  readonly diagnostics: readonly Diagnostic[];
  readonly files: readonly string[];
}

const DIAGNOSTIC = /^(?:(.+?)\(\d+,\d+\): )?error (TS\d+): (.*)$/;

/** Installs several versions of TypeScript beside one another, in a folder of their own. */
export class Compilers {
  constructor(
    private readonly workspace: Workspace,
    private readonly versions: readonly string[],
  ) {}

  async install(): Promise<void> {
    const aliases = this.versions.map((version) => `typescript-${version}@npm:typescript@${version}`);
    await this.workspace.project('compilers', `npm install ${aliases.join(' ')}`);
  }

  /** Compiles a project, and lists what it is made of. */
  async compile(version: string, folder: string, config: string): Promise<Compilation> {
    const tsc = this.workspace.path('compilers', 'node_modules', `typescript-${version}`, 'bin', 'tsc');
    const { output } = await finish('node', [tsc, '-p', config, '--pretty', 'false', '--listFiles'], {
      cwd: this.workspace.path(folder),
    });
    const lines = output.split('\n');
    const root = join(this.workspace.path(folder), '/');
    return {
      diagnostics: lines.flatMap((line) => {
        const [, file = '', code, message = ''] = DIAGNOSTIC.exec(line) ?? [];
        return code === undefined ? [] : [{ file, code, message }];
      }),
      files: lines.filter((line) => line.startsWith(root)).map((line) => line.slice(root.length)),
    };
  }
}

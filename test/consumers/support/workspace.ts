import { afterAll, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LIMITS } from './limits.js';
import { installArguments } from './packages.js';
import { killAll, run } from './run.js';

const files = fileURLToPath(new URL('../files/', import.meta.url));

type Json = Record<string, unknown>;

/** A temporary folder, outside the repository, in which one spec makes its consumers. */
export class Workspace {
  /** Tests that have not passed in time: where jest gives up on one, its body neither returns nor throws. */
  private unpassed = 0;
  private broken = false;

  private constructor(readonly root: string) {}

  /** Removed after the tests of the spec, or kept with its path shown if one of them failed. */
  static open(name: string): Workspace {
    const workspace = new Workspace(mkdtempSync(join(tmpdir(), `nestjs-realtime-${name}-`)));
    afterAll(() => workspace.close());
    return workspace;
  }

  /** A test on which the others of the spec build: when it fails, they fail at once. */
  first(title: string, body: () => Promise<void>): void {
    this.it(title, async () => {
      this.broken = true;
      await body();
      this.broken = false;
    });
  }

  /** Like jest's `it`: a failure keeps the folder. */
  it(title: string, body: () => Promise<void>): void {
    it(
      title,
      async () => {
        if (this.broken) throw new Error('The test that prepares this one failed');
        this.unpassed++;
        const begun = performance.now();
        await body();
        if (performance.now() - begun < LIMITS.cell) this.unpassed--;
      },
      LIMITS.cell,
    );
  }

  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  /** Runs the CLI of a package, without an installation: `npx nest new app`. */
  async npx(packageAtVersion: string, ...args: string[]): Promise<void> {
    await run('npx', ['--yes', packageAtVersion, ...args], { cwd: this.root, timeoutMs: LIMITS.install });
  }

  /** Runs an install line of the README in a folder. @returns what npm printed. */
  install(folder: string, line = 'npm install'): Promise<string> {
    return run('npm', installArguments(line), { cwd: this.path(folder), timeoutMs: LIMITS.install });
  }

  /** Makes an empty project and runs install lines in it. */
  async project(folder: string, ...lines: readonly string[]): Promise<void> {
    mkdirSync(this.path(folder));
    this.write(`${folder}/package.json`, '{ "private": true }');
    for (const line of lines) await this.install(folder, line);
  }

  /** Runs a command in a folder. @returns what it printed. */
  run(folder: string, command: string, env?: Readonly<Record<string, string>>): Promise<string> {
    const [program = '', ...args] = command.split(' ');
    return run(program, args, { cwd: this.path(folder), ...(env === undefined ? {} : { env }) });
  }

  /** Copies a folder of `test/consumers/files` over one of the workspace. */
  copy(from: string, to: string): void {
    cpSync(join(files, from), this.path(to), { recursive: true });
  }

  /** Copies a folder of the workspace. @returns the name of the copy. */
  duplicate(from: string, to: string): string {
    cpSync(this.path(from), this.path(to), { recursive: true });
    return to;
  }

  write(file: string, text: string): void {
    writeFileSync(this.path(file), text);
  }

  /** Replaces a text in a file, wherever it occurs. */
  replace(file: string, text: string, by: string): void {
    this.write(file, readFileSync(this.path(file), 'utf8').replaceAll(text, by));
  }

  readJson(file: string): Json {
    return JSON.parse(readFileSync(this.path(file), 'utf8')) as Json;
  }

  /** Changes a JSON file. */
  edit(file: string, change: (json: Json) => Json): void {
    this.write(file, `${JSON.stringify(change(this.readJson(file)), null, 2)}\n`);
  }

  /** The names of the packages in a folder's node_modules, one level deep. */
  packages(folder: string): string[] {
    const modules = this.path(folder, 'node_modules');
    return readdirSync(modules)
      .filter((name) => !name.startsWith('.'))
      .flatMap((name) =>
        name.startsWith('@') ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
      );
  }

  private close(): void {
    killAll();
    if (this.unpassed > 0) process.stderr.write(`Kept for a look: ${this.root}\n`);
    else removeInBackground(this.root);
  }
}

/** A disk that discards blocks takes up to minutes for the thousands of files of an installation: nobody waits for that. */
function removeInBackground(folder: string): void {
  const script = `require('node:fs').rmSync(${JSON.stringify(folder)}, { recursive: true, force: true })`;
  spawn(process.execPath, ['-e', script], { detached: true, stdio: 'ignore', env: {} }).unref();
}

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../../lib/doctor/cli.js';
import { loadTarget } from '../../../lib/doctor/load.js';

let cwd = '';

beforeAll(() => {
  // What Nest says while it makes the applications.
  Logger.overrideLogger(false);
  cwd = mkdtempSync(join(tmpdir(), 'nestjs-realtime-doctor-'));
  const files = {
    'one.mjs': 'export class RootModule {}\nexport const other = 1;',
    'default.mjs': 'export default class RootModule {}\nexport class Other {}',
    'named.mjs': 'export class AppModule {}\nexport class CatsModule {}',
    'several.mjs': 'export class DogsModule {}\nexport class CatsModule {}',
    'dynamic.mjs': 'export const app = { module: class RootModule {} };',
    'factory.mjs': 'export function createApp() {}\nexport const port = 3000;',
    'nothing.mjs': 'globalThis.x;',
    'broken.mjs': "throw new Error('no JWT_SECRET\\nat here');",
    'common.cjs':
      "'use strict';\nObject.defineProperty(exports, '__esModule', { value: true });\nclass AppModule {}\nexports.AppModule = AppModule;",
    'whole.cjs': "'use strict';\nclass RootModule {}\nmodule.exports = RootModule;",
    'default.cjs':
      "'use strict';\nclass RootModule {}\nexports.__esModule = true;\nexports.default = RootModule;\nexports.port = 1;",
    'options.mjs':
      "throw Object.assign(new Error('RealtimeModule cannot start:\\n- auth: is missing. Set it.\\n- path: is wrong. Write /x.'), { name: 'RealtimeBootError' });",
    'functions.cjs':
      "'use strict';\nObject.defineProperty(exports, '__esModule', { value: true });\nexports.createApp = () => undefined;\nexports.port = 1;",
    'empty.cjs': "'use strict';\nObject.defineProperty(exports, '__esModule', { value: true });",
    'app.module.ts': '',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  mkdirSync(join(cwd, 'dist'));
});

afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const nameOf = (target: unknown): unknown =>
  (target as { readonly module?: { readonly name: string } }).module?.name ??
  (target as { readonly name: string }).name;

const run = (...args: string[]) => runCommand(args, { cwd, width: 80, colours: false });

describe('the file of the doctor', () => {
  it.each([
    ['one.mjs', 'RootModule'],
    ['./one.mjs#RootModule', 'RootModule'],
    ['default.mjs', 'RootModule'],
    ['default.mjs#Other', 'Other'],
    ['named.mjs', 'AppModule'],
    ['named.mjs#CatsModule', 'CatsModule'],
    ['dynamic.mjs', 'RootModule'],
    ['factory.mjs#createApp', 'createApp'],
    ['common.cjs', 'AppModule'],
    ['common.cjs#AppModule', 'AppModule'],
    ['whole.cjs', 'RootModule'],
    ['default.cjs', 'RootModule'],
  ])('%s gives %s', async (text, name) => {
    expect(nameOf(await loadTarget(text, cwd))).toBe(name);
  });

  it.each([
    ['gone.js', 'There is no file gone.js: build the application first, or correct the path.'],
    ['dist', 'dist is no file: give that of the root module, such as dist/app.module.js.'],
    [
      'app.module.ts',
      'app.module.ts is TypeScript: build the application, and give what it was compiled to, such as dist/app.module.js.',
    ],
    [
      'options.mjs',
      'options.mjs cannot be loaded: RealtimeModule cannot start:\n- auth: is missing. Set it.\n- path: is wrong. Write /x.',
    ],
    [
      'functions.cjs',
      'functions.cjs exports createApp, port: say which is meant, such as functions.cjs#createApp.',
    ],
    ['functions.cjs#Gone', 'functions.cjs has no export Gone: it has createApp, port.'],
    ['empty.cjs', 'empty.cjs exports nothing: give the file of the root module, such as dist/app.module.js.'],
    ['broken.mjs', 'broken.mjs cannot be loaded: no JWT_SECRET'],
    [
      'nothing.mjs',
      'nothing.mjs exports nothing: give the file of the root module, such as dist/app.module.js.',
    ],
    [
      'several.mjs',
      'several.mjs exports CatsModule, DogsModule: say which is meant, such as several.mjs#CatsModule.',
    ],
    [
      'factory.mjs',
      'factory.mjs exports createApp, port: say which is meant, such as factory.mjs#createApp.',
    ],
    ['one.mjs#Gone', 'one.mjs has no export Gone: it has RootModule, other.'],
    ['one.mjs#other', 'other of one.mjs is no module, no application and no function that makes one.'],
  ])('%s is answered with one sentence', async (text, sentence) => {
    expect(await run('doctor', text)).toEqual({ code: 2, output: '', error: `${sentence}\n` });
  });
});

describe('the command of the doctor', () => {
  it.each([[], ['doctor'], ['nurse', 'one.mjs'], ['doctor', 'one.mjs', 'default.mjs']])(
    'shows how it is used: %j',
    async (...args) => {
      const { code, error, output } = await run(...args);
      expect([code, output]).toEqual([2, '']);
      expect(error).toMatch(/^Usage: nestjs-realtime doctor <file>/);
    },
  );

  it('shows its help, in 80 columns', async () => {
    const { code, output } = await run('--help');
    expect(code).toBe(0);
    expect(output.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it.each([
    [['--strikt'], /Unknown option '--strikt'/],
    [['--accept', 'transport.tls'], /write the reason behind it/],
    [['--accept', 'transport.tls='], /has no reason/],
    [['--accept', 'transport.tlz=x'], /there is no check "transport\.tlz"/],
    [['--grace', 'soon'], /grace: not a time/],
  ])('refuses %j with one line', async (args, message) => {
    const { code, error, output } = await run('doctor', 'one.mjs', ...args);
    expect([code, output]).toEqual([2, '']);
    expect(error).toMatch(message);
  });

  it('prints a table for people, and the same for programs', async () => {
    const table = await run('doctor', 'one.mjs');
    expect(table).toMatchObject({ code: 1, error: '' });
    expect(table.output).toContain('Not fit for production: boot.');
    const { code, output } = await run('doctor', 'one.mjs', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(output)).toMatchObject({
      file: 'one.mjs',
      passed: false,
      findings: [{ id: 'boot', outcome: 'absent', level: 'error' }],
      counts: { error: 1, accepted: 0 },
      unused: [],
    });
  });

  it('reads a reason with an equals sign', async () => {
    const { output } = await run('doctor', 'one.mjs', '--json', '--accept', 'transport.tls=a=b');
    expect(JSON.parse(output)).toMatchObject({ unused: ['transport.tls'] });
  });
});

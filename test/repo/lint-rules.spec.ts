import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

// A lint rule that cannot fail guards nothing. The sources below are virtual: no such files exist.

const cwd = fileURLToPath(new URL('../..', import.meta.url));
const syntaxOnly = new ESLint({ cwd, overrideConfig: [tseslint.configs.disableTypeChecked] });
const typed = new ESLint({ cwd });

async function rulesReported(eslint: ESLint, filePath: string, code: string): Promise<(string | null)[]> {
  const results = await eslint.lintText(code, { filePath: `${cwd}/${filePath}` });
  expect(results).toHaveLength(1); // an ignored file would give none
  return results.flatMap((result) => result.messages).map(({ ruleId, message }) => ruleId ?? message);
}

const importing = (specifier: string) => `export * from '${specifier}';\n`;
const ROOMS = 'realtime/import-rooms';

// Loading TypeScript and the configuration takes seconds on a small machine.
beforeAll(async () => {
  await rulesReported(syntaxOnly, 'lib/core/warm-up.ts', 'export {};\n');
});

describe('import directions', () => {
  it.each([
    ['lib/protocol/a.ts', '../core/b.js'],
    ['lib/protocol/codecs/a.ts', '../../client/b.js'],
    ['lib/protocol/a.ts', '../index.js'],
    ['lib/core/session/a.ts', '../../transports/b.js'],
    ['lib/core/session/a.ts', '../../brokers/broker.js'],
    ['lib/core/ports/a.ts', '../async/b.js'],
    ['lib/core/log/a.ts', '../outbox/b.js'],
    ['lib/core/outbox/a.ts', '../hub/b.js'],
    ['lib/core/session/a.ts', '../commands/b.js'],
    ['lib/core/commands/a.ts', '../engine/b.js'],
    ['lib/core/session/a.ts', '../no-floor/b.js'],
    ['lib/core/session/a.ts', '../index.js'],
    ['lib/core/a.ts', '../nest/b.js'],
    ['lib/core/a.ts', '../nest'],
    ['lib/core/deep/er/a.ts', '../../../../lib/brokers/b.js'],
    ['lib/transports/websocket/a.ts', '../../brokers/b.js'],
    ['lib/transports/websocket/a.ts', '../../core/session/b.js'],
    ['lib/brokers/memory/a.ts', '../../core/log/b.js'],
    ['lib/transports/a.ts', '../nest/b.js'],
    ['lib/brokers/memory/a.ts', '../../transports/b.js'],
    ['lib/brokers/a.ts', '../nest/b.js'],
    ['lib/brokers/contract/a.ts', '../memory/b.js'],
    ['lib/admin/dashboard/page/a.ts', '../streams.js'],
    ['lib/admin/dashboard/page/a.ts', 'rxjs'],
    ['lib/admin/dashboard/page/a.ts', 'node:fs'],
    ['lib/admin/dashboard/streams.ts', './page/a.js'],
    ['lib/brokers/contract/a.ts', '../broker.js'],
    ['lib/brokers/contract/a.ts', '../../core/channel/channel-name.js'],
    ['lib/brokers/contract/a.ts', '../../core/engine/b.js'],
    ['lib/brokers/contract/a.ts', '../../../test/support/until.js'],
    ['lib/brokers/broker.ts', './contract/index.js'],
    ['lib/brokers/memory/a.ts', '../contract/recording-listener.js'],
    ['lib/nest/a.ts', '../brokers/contract/index.js'],
    ['lib/index.ts', './brokers/contract'],
    ['lib/nest/a.ts', '../health/b.js'],
    ['lib/nest/a.ts', '../client/b.js'],
    ['lib/nest/a.ts', '../testing/b.js'],
    ['lib/tracing/a.ts', '../transports/b.js'],
    ['lib/health/a.ts', '../brokers/b.js'],
    ['lib/admin/a.ts', '../health/b.js'],
    ['lib/asyncapi/a.ts', '../client/b.js'],
    ['lib/testing/a.ts', '../transports/b.js'],
    ['lib/client/a.ts', '../core/b.js'],
    ['lib/client/a.ts', '../nest/b.js'],
    ['lib/index.ts', './health/index.js'],
    ['lib/index.ts', './client/index.js'],
    ['lib/nest/a.ts', '../../test/helper.js'],
    ['lib/nest/a.ts', '../../sample/chat/main.js'],
    ['lib/nest/a.ts', 'nestjs-realtime/client'],
    ['lib/no-such-room/a.ts', '../protocol/b.js'],
    ['sample/chat/a.ts', '../../lib/index.js'],
    ['sample/chat/a.ts', '../../lib/client/index.js'],
    ['sample/chat/a.ts', '../../dist/index.js'],
    ['sample/chat/a.ts', 'nestjs-realtime/dist/nest/b.js'],
  ])('%s may not import %s', async (file, specifier) => {
    expect(await rulesReported(syntaxOnly, file, importing(specifier))).toEqual([ROOMS]);
  });

  it.each([
    ['lib/protocol/codecs/a.ts', '../envelope.js'],
    ['lib/protocol/codecs/a.ts', '@msgpack/msgpack'],
    ['lib/core/session/a.ts', '../../protocol/index.js'],
    ['lib/core/session/a.ts', '../hub/b.js'],
    // A folder of its own that is called like a room.
    ['lib/core/session/a.ts', 'node:crypto'],
    ['lib/core/session/a.ts', './b.js'],
    ['lib/core/engine/a.ts', '../commands/b.js'],
    ['lib/core/engine/a.ts', '../ports/b.js'],
    ['lib/core/async/a.ts', '../ports/b.js'],
    ['lib/transports/websocket/a.ts', '../../core/ports/b.js'],
    ['lib/transports/websocket/a.ts', 'ws'],
    ['lib/brokers/memory/a.ts', '../../core/async/b.js'],
    ['lib/brokers/redis/a.ts', 'ioredis'],
    ['lib/brokers/contract/index.ts', './suite.js'],
    ['lib/admin/dashboard/page/a.ts', './b.js'],
    ['lib/admin/dashboard/page/a.ts', 'uplot'],
    ['lib/brokers/contract/a.ts', '../../core/ports/broker.js'],
    ['lib/brokers/contract/a.ts', '../../protocol/position.js'],
    ['lib/brokers/contracts.ts', './contracts/a.js'],
    ['lib/nest/a.ts', '../transports/b.js'],
    ['lib/nest/a.ts', '../brokers/b.js'],
    ['lib/nest/a.ts', '../core/b.js'],
    ['lib/nest/a.ts', '../protocol/b.js'],
    ['lib/nest/a.ts', '@nestjs/common'],
    ['lib/tracing/a.ts', '../nest/b.js'],
    ['lib/health/a.ts', '@nestjs/terminus'],
    ['lib/admin/a.ts', '../core/b.js'],
    ['lib/asyncapi/a.ts', '../protocol/b.js'],
    ['lib/testing/a.ts', '../nest/b.js'],
    ['lib/client/a.ts', '../protocol/b.js'],
    ['lib/index.ts', './nest/index.js'],
    ['sample/chat/a.ts', 'nestjs-realtime'],
    ['sample/chat/a.ts', 'nestjs-realtime/client'],
    ['sample/chat/deep/a.ts', '../b.js'],
    ['test/unit/a.ts', '../../lib/core/b.js'],
    ['bench/a.ts', '../lib/core/b.js'],
  ])('%s may import %s', async (file, specifier) => {
    expect(await rulesReported(syntaxOnly, file, importing(specifier))).toEqual([]);
  });

  it.each([
    ["import { b } from '../nest/b.js';\nexport const c = b;\n"],
    ["import type { B } from '../nest/b.js';\nexport type C = B;\n"],
    ["import '../nest/b.js';\n"],
    ["export { b } from '../nest/b.js';\n"],
    ["export type { B } from '../nest/b.js';\n"],
    ["export const b = import('../nest/b.js');\n"],
    ["export type B = typeof import('../nest/b.js');\n"],
  ])('detects an import in every form: %s', async (code) => {
    expect(await rulesReported(syntaxOnly, 'lib/core/a.ts', code)).toContain(ROOMS);
  });

  it.each([["import b = require('../nest/b.js');\nexport { b };\n"], ["require('../nest/b.js');\n"]])(
    'detects CommonJS: %s',
    async (code) => {
      expect(await rulesReported(syntaxOnly, 'lib/core/a.ts', code)).toContain(ROOMS);
    },
  );

  it('the message names both rooms and the allowed ones', async () => {
    const [result] = await syntaxOnly.lintText(importing('../nest/b.js'), {
      filePath: `${cwd}/lib/core/a.ts`,
    });
    expect(result?.messages[0]?.message).toContain(
      'lib/core may not import lib/nest: it may import lib/protocol',
    );
  });
});

describe('packages', () => {
  it.each([
    ['lib/core/a.ts', '@nestjs/common'],
    ['lib/core/a.ts', '@nestjs/core/injector/module.js'],
    ['lib/core/a.ts', 'ws'],
    ['lib/core/a.ts', 'ioredis'],
    ['lib/transports/a.ts', '@nestjs/common'],
    ['lib/brokers/a.ts', '@nestjs/common'],
    ['lib/brokers/contract/a.ts', '@jest/globals'],
    ['lib/brokers/contract/a.ts', 'fast-check'],
    ['lib/brokers/contract/a.ts', 'node:crypto'],
    ['lib/nest/a.ts', '@nestjs/terminus'],
    ['lib/index.ts', '@nestjs/terminus'],
    ['lib/protocol/a.ts', 'node:crypto'],
    ['lib/protocol/a.ts', 'crypto'],
    ['lib/protocol/a.ts', 'rxjs'],
    ['lib/client/a.ts', 'node:events'],
    ['lib/client/a.ts', 'events'],
    ['lib/client/a.ts', 'ws'],
  ])('%s may not import %s', async (file, specifier) => {
    expect(await rulesReported(syntaxOnly, file, importing(specifier))).toEqual([ROOMS]);
  });
});

describe('the wall clock', () => {
  const RULE = 'no-restricted-syntax';

  it.each([
    'export const ends = clock.now() + 5;',
    'export const isOver = (until: number) => until <= clock.now();',
    'const now = clock.now();\nexport { now };',
    'export const age = () => deps.settings.clock.now();',
    'export const life = (exp: number) => exp - Date.now();',
    'export const message = { until: clock.now() };',
    'export const message = { ts: clock.now() + 1 };',
    'export const read = clock.now;',
    'export const read = clock.now.bind(clock);',
    "export const read = clock['now']();",
    'const { now } = clock;\nexport const ends = now() + 5;',
    'export const age = (event: { ts: number }, at: number) => at - event.ts;',
    'export const isLater = (ts: number, at: number) => ts > at;',
    'export const today = new Date();',
  ])('nothing is computed from it: %s', async (code) => {
    const source = `declare const clock: { now(): number };\ndeclare const deps: { settings: { clock: { now(): number } } };\n${code}\nexport { clock, deps };\n`;
    for (const file of ['lib/core/session/a.ts', 'lib/client/a.ts', 'lib/brokers/redis/a.ts'])
      expect([...new Set(await rulesReported(syntaxOnly, file, source))]).toEqual([RULE]);
  });

  it.each([
    'export const message = { ts: clock.now() };',
    'export const welcome = { serverTime: clock.now() };',
    'const ts = clock.now();\nexport { ts };',
    'export const ends = clock.monotonic() + 5;',
    'export const ends = performance.now() + 5;',
  ])('timestamps, and the other clock, may be read: %s', async (code) => {
    const source = `declare const clock: { now(): number; monotonic(): number };\n${code}\nexport { clock };\n`;
    expect(await rulesReported(syntaxOnly, 'lib/core/session/a.ts', source)).toEqual([]);
  });
});

describe('the machine of a partition is deterministic', () => {
  const FILE = 'lib/brokers/machine/a.ts';

  it.each([
    ['no-restricted-globals', 'export const at = () => Date;\n'],
    ['no-restricted-globals', 'export const at = () => performance.now();\n'],
    ['no-restricted-globals', 'export const later = (task: () => void) => setTimeout(task, 5);\n'],
    ['no-restricted-globals', 'export const later = (task: () => void) => queueMicrotask(task);\n'],
    ['no-restricted-globals', 'export const id = () => crypto.randomUUID();\n'],
    ['no-restricted-globals', 'export const wait = () => Promise.resolve();\n'],
    ['no-restricted-globals', 'export const name = () => process.env;\n'],
    ['no-restricted-syntax', 'export const chance = () => Math.random();\n'],
    ['no-restricted-syntax', 'export const wait = async () => undefined;\n'],
    ['no-restricted-syntax', 'export const order = (a: string, b: string) => a.localeCompare(b);\n'],
    ['no-restricted-syntax', 'export const order = (list: string[]) => list.sort();\n'],
    ['no-restricted-imports', importing('node:crypto')],
    ['no-restricted-imports', importing('../../core/ports/clock.js')],
    ['no-restricted-imports', importing('../../core/ports/entropy.js')],
    ['no-restricted-imports', importing('../memory/store.js')],
    ['no-restricted-imports', importing('../replicated/ordered-log.js')],
  ])('%s reports %s', async (rule, code) => {
    expect([...new Set(await rulesReported(syntaxOnly, FILE, code))]).toEqual([rule]);
  });

  it.each([
    'export const most = (a: number, b: number) => Math.max(a, b);\n',
    'export const order = (list: number[]) => list.sort((a, b) => a - b);\n',
    importing('../common/thing-name.js'),
    importing('../../core/ports/channel-event.js'),
    importing('../../core/async/owned-rooms.js'),
  ])('allows %s', async (code) => {
    expect(await rulesReported(syntaxOnly, FILE, code)).toEqual([]);
  });
});

describe('other rules', () => {
  const lines = (count: number) =>
    Array.from({ length: count }, (_, i) => `export const a${i} = ${i};\n`).join('');

  it.each([
    ['any', 'lib/core/session/a.ts', 'export const a: any = 1;\n', '@typescript-eslint/no-explicit-any'],
    ['any', 'test/unit/a.ts', 'export const a: any = 1;\n', '@typescript-eslint/no-explicit-any'],
    ['the console', 'lib/core/session/a.ts', "console.log('a');\n", 'no-console'],
    ['401 lines', 'lib/core/session/a.ts', lines(401), 'max-lines'],
    ['a browser global', 'lib/core/session/a.ts', 'export const a = window;\n', 'no-restricted-globals'],
    ['Buffer', 'lib/protocol/a.ts', 'export const a = Buffer.from([]);\n', 'no-restricted-globals'],
    ['process', 'lib/client/a.ts', 'export const a = process.env;\n', 'no-restricted-globals'],
    [
      'a type imported as a value',
      'lib/core/session/a.ts',
      "import { B } from './b.js';\nexport const c = (b: B) => b;\n",
      '@typescript-eslint/consistent-type-imports',
    ],
  ])('reports %s in %s', async (_what, file, code, rule) => {
    expect(await rulesReported(syntaxOnly, file, code)).toEqual([rule]);
  });

  it.each([
    ['400 lines and a comment', 'lib/core/session/a.ts', `${lines(400)}\n\n// a comment\n`],
    ['401 lines', 'test/unit/a.ts', lines(401)],
    ['the console', 'sample/chat/a.ts', "console.log('listening');\n"],
    ['a browser global', 'lib/client/a.ts', 'export const a = navigator.onLine;\n'],
  ])('allows %s in %s', async (_what, file, code) => {
    expect(await rulesReported(syntaxOnly, file, code)).toEqual([]);
  });

  const test = (rest: string) => `export const a = [${rest}];\n`;
  it.each([
    ['a test with a limit of its own', "it('x', async () => undefined, 60_000)"],
    ['a test whose limit is a product', "it('x', async () => undefined, 60 * 1000)"],
    ['a table of tests with a limit of its own', "it.each([1])('%i', async () => undefined, 60_000)"],
    ['a hook with a limit of its own', 'beforeAll(async () => undefined, 60_000)'],
    ['a wait with a limit of its own', "until('x', () => true, 5_000)"],
    ['a client with a limit of its own', "server.connect('ada', { timeoutMs: 10_000 })"],
    ['a peer with a limit of its own', "new WirePeer('ada', { timeoutMs: 10_000 })"],
    ['a process with a limit of its own', "spawnSync('x', [], { timeout: 60_000 })"],
    ['a page with a limit of its own', 'locator.waitFor({ timeout: 5_000 })'],
    ['a deadline', 'performance.now() + 15_000'],
    ['a pause', 'new Promise((resolve) => setTimeout(resolve, 20))'],
    ['a pause in a block', 'new Promise((resolve) => { setTimeout(resolve, 20); })'],
    ['a pause that calls', 'new Promise<void>((resolve) => { setTimeout(() => resolve(), 20); })'],
    ['a pause beside others', 'new Promise((resolve) => { begin(); setTimeout(resolve, 20); })'],
    ['a pause in a function', 'new Promise(function (resolve) { setTimeout(resolve, 20); })'],
    ['timers/promises', "import('timers/promises')"],
    ['a signal with a limit', 'AbortSignal.timeout(5_000)'],
    ['a speed', 'expect(performance.now() - begun).toBeLessThan(300)'],
  ])('reports %s in a test', async (_what, code) => {
    expect(await rulesReported(syntaxOnly, 'test/unit/a.ts', test(code))).toEqual(['no-restricted-syntax']);
  });

  it.each(['node:timers/promises', 'timers/promises'])('reports an import of %s in a test', async (name) => {
    const code = `import { setTimeout as sleep } from '${name}';\nexport const a = sleep;\n`;
    expect(await rulesReported(syntaxOnly, 'test/unit/a.ts', code)).toEqual(['no-restricted-syntax']);
  });

  it('reports a constant time limit in a test', async () => {
    const code = 'export const TIMEOUT_MS = 90_000;\n';
    expect(await rulesReported(syntaxOnly, 'test/unit/a.ts', code)).toEqual(['no-restricted-syntax']);
  });

  it.each([
    ['a limit that is patience', "it('x', async () => undefined, patience(60_000))"],
    [
      'a time setting of the tested code',
      'startWireServer({ settings: { heartbeat: { timeoutMs: 10_000 } } })',
    ],
    ['a bound that is stretched', 'expect(performance.now() - begun).toBeLessThan(stretched(300))'],
    ['a manual clock', 'clock.advance(5_000)'],
    ['a manual clock by days', 'clock.advance(29 * 24 * 3_600_000)'],
    ['a product of patience', "it('x', async () => undefined, 2 * patience(60_000))"],
    [
      'a time-out',
      'new Promise((resolve, reject) => { begin(resolve); setTimeout(() => reject(late), ms); })',
    ],
  ])('allows %s in a test', async (_what, code) => {
    expect(await rulesReported(syntaxOnly, 'test/unit/a.ts', test(code))).toEqual([]);
  });

  it('the message for a pause in a test names the remedy', async () => {
    const [result] = await syntaxOnly.lintText(test('new Promise((resolve) => setTimeout(resolve, 20))'), {
      filePath: `${cwd}/test/unit/a.ts`,
    });
    expect(result?.messages[0]?.message).toContain('wait with until()');
  });

  // These need types, hence the name of a file that exists; its content is replaced.
  const REAL_FILE = 'lib/protocol/envelope.ts';

  it('reports a promise that is not awaited', async () => {
    const code = 'export async function a(): Promise<void> {}\na();\n';
    expect(await rulesReported(typed, REAL_FILE, code)).toEqual(['@typescript-eslint/no-floating-promises']);
  });

  it('leaves imports of injected classes alone, as Nest needs them at run time', async () => {
    const code = [
      "import { RealtimeError } from './realtime-error.js';",
      'declare const injectable: ClassDecorator;',
      '@injectable',
      'export class A {',
      '  constructor(readonly b: RealtimeError) {}',
      '}\n',
    ].join('\n');
    expect(await rulesReported(typed, REAL_FILE, code)).toEqual([]);
  });
});

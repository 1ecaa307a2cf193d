import { afterEach, describe, expect, it } from '@jest/globals';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { patience } from '../support/patience.js';

const PROGRAM = join(import.meta.dirname, 'shutdown.process.mjs');

interface Message {
  readonly type: 'taken' | 'hook' | 'log' | 'closed';
  readonly act?: string;
  readonly message?: string;
}

let child: ChildProcess | undefined;
afterEach(() => void child?.kill('SIGKILL'));

/** Runs the application until its process ends. */
async function run(given: object): Promise<{ readonly code: number | null; readonly told: Message[] }> {
  const told: Message[] = [];
  child = fork(PROGRAM, [JSON.stringify(given)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  child.on('message', (message: Message) => void told.push(message));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, told };
}

describe.each([
  ['with an HTTP server', true],
  ['without an HTTP server', false],
])('the shutdown of an application %s', (_name, http) => {
  it(
    'waits for an audit sink that takes its entries at the third attempt (G26)',
    async () => {
      const { code, told } = await run({ sink: 'fails', http });
      expect(told.filter(({ type }) => type !== 'log')).toEqual([
        { type: 'taken', act: 'close_room' },
        { type: 'closed' },
      ]);
      expect(code).toBe(0);
    },
    patience(20_000),
  );

  it(
    'waits for an audit sink that answers nothing, until the deadline, and logs what it did not take (G26)',
    async () => {
      const { code, told } = await run({ sink: 'hangs', http });
      const ends = told.filter(({ type, message }) => type !== 'log' || message?.includes('audit'));
      expect(ends.map(({ message, type }) => message ?? type)).toEqual([
        'The audit sink table did not take 1 entries before the end',
        'closed',
      ]);
      expect(code).toBe(0);
    },
    patience(20_000),
  );

  it(
    'ends while a hook hangs',
    async () => {
      const { code, told } = await run({ hook: 'hangs', http });
      expect(told.filter(({ type }) => type !== 'log')).toEqual([{ type: 'hook' }, { type: 'closed' }]);
      expect(code).toBe(0);
    },
    patience(30_000),
  );
});

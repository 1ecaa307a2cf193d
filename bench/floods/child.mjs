import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { canPin } from '../support/pinning.mjs';

/** Lines of a process that are kept. */
const MAX_LINES = 10_000;

/** A process of a flood. It is asked one thing after another, and may end at any time. */
export class Child {
  ended = false;
  /** Code or signal of its end. */
  exit;
  /** What it wrote, by line. */
  lines = [];
  #answers = [];

  /**
   * @param {string} script In this folder.
   * @param {object} settings What the script finds as its argument.
   * @param {{ core?: number, nodeOptions?: readonly string[] }} [options]
   */
  static async start(script, settings, { core, nodeOptions = [] } = {}) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const pin = core !== undefined && canPin;
    const child = fork(path, [JSON.stringify(settings)], {
      ...(pin
        ? { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath, ...nodeOptions] }
        : { execArgv: [...nodeOptions] }),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1' },
    });
    const started = new Child(child);
    started.ready = await started.answer();
    if (started.ready === undefined) throw new Error(`${script} ended: ${started.lines.join('\n')}`);
    return started;
  }

  constructor(child) {
    this.child = child;
    this.pid = child.pid;
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop();
        for (const line of lines) if (this.lines.length < MAX_LINES) this.lines.push(line);
      });
    }
    child.on('message', (message) => this.#answers.shift()?.(message));
    this.gone = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.ended = true;
        this.exit = signal ?? code;
        for (const answer of this.#answers.splice(0)) answer(undefined);
        resolve();
      });
    });
    child.on('error', () => undefined);
  }

  /** @returns the answer, nothing where the process ended, or did not answer in time. */
  async ask(type, values = {}, timeoutMs = undefined) {
    if (this.ended) return undefined;
    this.child.send({ ...values, type }, () => undefined);
    return await this.answer(timeoutMs);
  }

  async answer(timeoutMs = 60_000) {
    if (this.ended) return undefined;
    return await new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs, undefined);
      this.#answers.push((message) => {
        clearTimeout(timer);
        resolve(message);
      });
    });
  }

  async stop() {
    if (!this.ended) this.child.kill('SIGKILL');
    await this.gone;
  }
}

/** Body of a process: answers what it is asked. @param {Record<string, (message: object) => unknown>} commands */
export function answerWith(commands, ready = {}) {
  process.on('message', async (message) => process.send((await commands[message.type](message)) ?? {}));
  // The flood is gone: so are its processes.
  process.on('disconnect', () => process.exit());
  process.send(ready);
}

/** What the process was started with. */
export const settingsOf = () => JSON.parse(process.argv[2]);

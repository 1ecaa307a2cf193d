import type { RedisCommands } from '../connection/commands.js';
import { commandError, isNoScript, unavailable } from '../errors.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import { APPEND } from '../scripts/index.js';
import { AppendBatch } from './batch.js';
import { fail, type PendingAppend } from './pending.js';

/** A batch that was sent, and what became of it. */
interface Sent {
  readonly batch: AppendBatch;
  state: 'open' | 'done' | 'unknown-script';
}

/**
 * A queue of appends whose order is kept. What waits in one turn of the event loop travels as one script call, and the
 * next batch does not wait for the answer to the one before, up to the depth. When nothing is under way there is nothing to
 * wait for but what the caller appends in the same breath.
 */
export class AppendLane {
  private waiting: PendingAppend[] = [];
  private sent: Sent[] = [];
  private scheduled = false;
  private reloading = false;
  private readonly onTurn = () => {
    this.scheduled = false;
    this.flush();
  };

  constructor(
    private readonly partition: number,
    private readonly depth: number,
    private readonly commands: RedisCommands,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
    /** Told of every append that has its outcome. */
    private readonly onSettled: (count: number, bytes: number) => void,
  ) {}

  push(append: PendingAppend): void {
    this.waiting.push(append);
    if (this.scheduled) return;
    this.scheduled = true;
    if (this.sent.length === 0) queueMicrotask(this.onTurn);
    else setImmediate(this.onTurn);
  }

  flush(): void {
    while (this.waiting.length > 0 && this.sent.length < this.depth && !this.reloading) {
      const sent: Sent = { batch: this.take(), state: 'open' };
      this.sent.push(sent);
      this.perform(sent, 'sha').catch((error: unknown) => {
        if (!isNoScript(error)) return this.finish(sent, error);
        // What was sent behind it may or may not have met the script: nothing goes on before that is known.
        sent.state = 'unknown-script';
        this.reloading = true;
        return this.reload();
      });
    }
  }

  private take(): AppendBatch {
    const { maxBatch, maxBatchBytes, headMs, replicated, epochs } = this.settings;
    let count = 0;
    let bytes = 0;
    while (count < this.waiting.length && count < maxBatch) {
      bytes += this.waiting[count]?.bytes ?? 0;
      if (count > 0 && bytes > maxBatchBytes) break;
      count += 1;
    }
    const items = this.waiting;
    this.waiting = items.splice(count);
    return new AppendBatch(items, this.keys, epochs.next(), headMs, replicated !== undefined);
  }

  private async perform(sent: Sent, by: 'sha' | 'text'): Promise<void> {
    const { batch } = sent;
    const { commands, partition } = this;
    const { replicated } = this.settings;
    const call = by === 'sha' ? commands.evalSha.bind(commands) : commands.evalText.bind(commands);
    const reply = call(APPEND, partition, batch.keys, batch.args);
    if (replicated === undefined) {
      batch.settle(await reply);
    } else {
      // Asked for at once, behind the script: it counts what that connection wrote.
      const reached = commands.proven(partition);
      const answers = await reply;
      if ((await reached) >= replicated.replicas) batch.settle(answers);
      else batch.settleUnproven(answers);
    }
    this.finish(sent);
  }

  private finish(sent: Sent, error?: unknown): void {
    if (error !== undefined) {
      const { code } = commandError(error);
      for (const item of sent.batch.items) fail(item, code === 'unavailable' ? 'unavailable' : 'timeout');
    }
    sent.state = 'done';
    this.onSettled(sent.batch.items.length, sent.batch.bytes);
    if (this.reloading) this.reload();
    else this.forget(sent);
  }

  private forget(sent: Sent): void {
    this.sent = this.sent.filter((other) => other !== sent);
    this.flush();
  }

  /**
   * Sends what met a server without the script again, with its text. One that a later batch overtook (another node loaded
   * the script between the two) is given up instead: it was not carried out, and must not be carried out later (P16).
   */
  private reload(): void {
    if (this.sent.some(({ state }) => state === 'open')) return;
    const sent = this.sent;
    this.sent = [];
    this.reloading = false;
    const lastDone = sent.map(({ state }) => state).lastIndexOf('done');
    sent.forEach((one, index) => {
      if (one.state === 'done') return;
      if (index < lastDone) {
        this.finish(one, unavailable('Overtaken while the script was loaded'));
        return;
      }
      one.state = 'open';
      this.sent.push(one);
      this.perform(one, 'text').catch((error: unknown) => this.finish(one, error));
    });
    this.flush();
  }
}

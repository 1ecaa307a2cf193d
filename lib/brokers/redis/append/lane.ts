import type { RedisCommands } from '../connection/commands.js';
import { isNoScript, unavailable } from '../errors.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import { APPEND } from '../scripts/append.js';
import { AppendBatch, settleFailed, type PendingAppend } from './batch.js';

/** A batch that was sent, and its state. */
interface Sent {
  readonly batch: AppendBatch;
  state: 'open' | 'done' | 'unknown-script';
}

/**
 * A queue of appends that keeps their order. The appends of one turn of the event loop travel as one script call, and up to
 * `depth` calls are under way at once. When none is, the queue waits only for what the caller appends in the same microtask.
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
    /** Called when appends have their outcome. */
    private readonly onSettled: (count: number, bytes: number) => void,
    /** Called when a call failed, and with nothing when one succeeded. */
    private readonly onOutcome: (error?: unknown) => void = () => undefined,
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
        // Later calls may or may not have found the script: nothing is sent before that is known.
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

  private async perform(sent: Sent, form: 'sha' | 'text'): Promise<void> {
    const { batch } = sent;
    const { commands, partition } = this;
    const { replicated } = this.settings;
    const reply = commands.eval(form, APPEND, partition, batch.keys, batch.args);
    if (replicated === undefined) {
      batch.settle(await reply);
    } else {
      // Asked right after the script: the answer is about what this connection has written so far.
      const replicas = commands.waitForReplicas(partition);
      const answers = await reply;
      batch.settle(answers, (await replicas) >= replicated.replicas);
    }
    this.finish(sent);
  }

  private finish(sent: Sent, error?: unknown): void {
    this.onOutcome(error);
    if (error !== undefined) settleFailed(sent.batch.items, error);
    sent.state = 'done';
    this.onSettled(sent.batch.items.length, sent.batch.bytes);
    if (this.reloading) return this.reload();
    this.sent = this.sent.filter((other) => other !== sent);
    this.flush();
  }

  /**
   * Sends batches that met a server without the script again, with its text. A batch that a later one overtook (another node
   * loaded the script between the two) fails instead: it was not carried out, and must not be carried out later (P16).
   */
  private reload(): void {
    if (this.sent.some(({ state }) => state === 'open')) return;
    const { sent } = this;
    const lastDone = sent.map(({ state }) => state).lastIndexOf('done');
    const overtaken = sent.filter(({ state }, index) => state !== 'done' && index < lastDone);
    // Before anything that is sent from now on.
    this.sent = sent.filter((_one, index) => index > lastDone);
    this.reloading = false;
    for (const one of this.sent) {
      one.state = 'open';
      this.perform(one, 'text').catch((error: unknown) => this.finish(one, error));
    }
    for (const one of overtaken)
      this.finish(one, unavailable('A later append overtook this one. Send it again'));
    this.flush();
  }
}

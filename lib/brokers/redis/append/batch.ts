import type { RedisKeys } from '../keys.js';
import { settle, settleUnproven, type AppendAnswer } from './answer.js';
import type { PendingAppend } from './pending.js';
import { AppendSection } from './section.js';

/** Appends that travel in one script call. */
export class AppendBatch {
  readonly keys: string[] = [];
  readonly args: string[];
  readonly bytes: number;
  private readonly sections: AppendSection[] = [];

  /**
   * @param token Begins the names of the sections, and of the epochs that the call may have to make. Used once.
   * @param touch Whether something must be written whatever the outcome.
   */
  constructor(
    readonly items: readonly PendingAppend[],
    keys: RedisKeys,
    token: string,
    headMs: number,
    touch: boolean,
  ) {
    /** The section of each channel that its next append may join. */
    const open = new Map<string, AppendSection>();
    let bytes = 0;
    for (const item of items) {
      const { channel, policy } = item.request;
      let section = open.get(channel);
      if (section === undefined || !section.takes(item)) {
        const name = `${token}.${this.sections.length + 1}`;
        section = new AppendSection(name, channel, keys.of(channel), policy, headMs);
        open.set(channel, section);
        this.sections.push(section);
      }
      section.add(item);
      bytes += item.bytes;
    }
    this.bytes = bytes;
    this.args = [token, touch ? '1' : '0', String(this.sections.length)];
    for (const section of this.sections) section.write(this.keys, this.args);
  }

  settle(reply: unknown): void {
    this.each(reply, settle);
  }

  /** For a call whose replicas are not proven. */
  settleUnproven(reply: unknown): void {
    this.each(reply, (item, _epoch, answer) => settleUnproven(item, answer));
  }

  private each(
    reply: unknown,
    settle: (item: PendingAppend, epoch: string, answer: AppendAnswer) => void,
  ): void {
    const answers = reply as readonly (readonly AppendAnswer[])[];
    this.sections.forEach((section, index) => section.settle(answers[index] ?? [], settle));
  }
}

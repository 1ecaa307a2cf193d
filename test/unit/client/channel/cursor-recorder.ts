import type { ChannelGap } from '../../../../lib/client/channel/types.js';
import { Cursor, type UnannouncedGap } from '../../../../lib/client/channel/cursor.js';
import type { GapPayload, SubscribeResult } from '../../../../lib/protocol/messages.js';
import type { Position } from '../../../../lib/protocol/position.js';

/** A cursor whose sink writes down what it is told, in order. */
export class Recorder {
  readonly log: unknown[] = [];
  readonly delivered: number[] = [];
  readonly gaps: ChannelGap[] = [];
  readonly readings: UnannouncedGap[] = [];
  resubscribes = 0;
  onDeliver: ((seq: number) => void) | undefined;
  readonly cursor: Cursor<Position>;

  constructor(maxHeld = 100) {
    this.cursor = new Cursor<Position>(
      {
        deliver: ({ seq }) => {
          this.log.push(seq);
          this.delivered.push(seq);
          this.onDeliver?.(seq);
        },
        gap: (gap) => {
          this.log.push(`gap ${gap.from}-${gap.to}${gap.partial ? ' partial' : ''} ${gap.reason}`);
          this.gaps.push(gap);
        },
        resumed: ({ seq }) => this.log.push(`resumed ${seq}`),
        read: (gap) => this.readings.push(gap),
        resubscribe: () => this.resubscribes++,
      },
      maxHeld,
    );
  }

  answer(result: Partial<SubscribeResult> = {}): ChannelGap | undefined {
    return this.cursor.answer({ position: { epoch: 'e1', seq: 0 }, recovery: 'new', ...result });
  }

  event(...seqs: number[]): void {
    for (const seq of seqs) this.cursor.event({ epoch: 'e1', seq });
  }

  gap(from: number, to: number, more: Partial<GapPayload> = {}): void {
    this.cursor.gap('e1', { from, to, reason: 'overflow', recoverable: true, ...more });
  }

  /** Answers the newest question with these events. */
  page(seqs: number[], more = false, epoch = 'e1'): void {
    const token = this.readings.at(-1)?.token ?? -1;
    this.cursor.page(token, { epoch, events: seqs.map((seq) => ({ epoch: 'e1', seq })), more });
  }
}

export const started = (seq = 0, maxHeld?: number): Recorder => {
  const recorder = new Recorder(maxHeld);
  recorder.answer({ position: { epoch: 'e1', seq } });
  return recorder;
};

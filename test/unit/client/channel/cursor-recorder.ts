import type { ChannelGap } from '../../../../lib/client/channel/types.js';
import { Cursor } from '../../../../lib/client/channel/cursor.js';
import type { GapPayload, SubscribeResult } from '../../../../lib/protocol/messages.js';
import type { Position } from '../../../../lib/protocol/position.js';

/** A cursor whose sink writes down what it is told, in order. */
export class Recorder {
  readonly log: unknown[] = [];
  readonly delivered: number[] = [];
  readonly gaps: ChannelGap[] = [];
  resubscribes = 0;
  onDeliver: ((seq: number) => void) | undefined;
  readonly cursor = new Cursor<Position>({
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
    resubscribe: () => this.resubscribes++,
  });

  answer(result: Partial<SubscribeResult> = {}): ChannelGap | undefined {
    return this.cursor.answer({ position: { epoch: 'e1', seq: 0 }, recovery: 'new', ...result });
  }

  event(...seqs: number[]): void {
    for (const seq of seqs) this.cursor.event({ epoch: 'e1', seq });
  }

  gap(from: number, to: number, more: Partial<GapPayload> = {}): void {
    this.cursor.gap('e1', { from, to, reason: 'overflow', recoverable: true, ...more });
  }
}

export const started = (seq = 0): Recorder => {
  const recorder = new Recorder();
  recorder.answer({ position: { epoch: 'e1', seq } });
  return recorder;
};

import { plainGap, type Flow, type GapEntry } from './entry.js';

/** A range that was dropped behind everything that is queued. */
export type DroppedRange = Pick<GapEntry, 'from' | 'to'>;

/** Ranges that were dropped at the end of a queue, to be announced when it drains (P25). Made while there are some. */
export class DroppedTails {
  private readonly ranges = new Map<Flow, DroppedRange>();

  get isEmpty(): boolean {
    return this.ranges.size === 0;
  }

  get flows(): readonly Flow[] {
    return [...this.ranges.keys()];
  }

  get(flow: Flow): DroppedRange | undefined {
    return this.ranges.get(flow);
  }

  note(flow: Flow, seq: number): void {
    const range = this.ranges.get(flow);
    if (range === undefined) this.ranges.set(flow, { from: seq, to: seq });
    else range.to = seq;
  }

  /** Forgets the range of a flow. */
  take(flow: Flow): DroppedRange | undefined {
    const range = this.ranges.get(flow);
    this.ranges.delete(flow);
    return range;
  }
}

/** The announcement of such a range. */
export function tailGap({ definition, epoch }: Flow, { from, to }: DroppedRange): GapEntry {
  return plainGap(from, to, 'overflow', definition.policy.log.retain, epoch);
}

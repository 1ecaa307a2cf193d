/** Bounds of a machine: all that decides an outcome beside the commands. Equal on every node of one log. */
export interface MachineSettings {
  /** Most bytes of everything that it holds. */
  readonly maxBytes: number;
  /** Most bytes of `maxBytes` that remembered ids hold. */
  readonly maxIdBytes: number;
  /** Part of the free bytes for ids that one producer may hold: above 0, at most 1. */
  readonly idShare: number;
  /** Most channels that are kept without being pinned. */
  readonly maxIdleChannels: number;
  /** How long the head of an unused channel is kept, in milliseconds. */
  readonly headMs: number;
  /**
   * By what restrictions end: `now` by machine time, `ts` by the records' own time. Machine time stands still where no record comes,
   * and what an administrator put on somebody until a day ends on that day.
   */
  readonly restrictionsEndBy: 'now' | 'ts';
}

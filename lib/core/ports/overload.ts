/**
 * What an overloaded node gives up, in this order (G33): fresh `connections`, `history` commands, the single events of channels of
 * `low` priority, and `presence` with typing and other signals. It takes them up in the reverse order.
 */
export type SheddingStep = 'connections' | 'history' | 'low' | 'presence';

/** The steps, in their order. */
export const SHEDDING_STEPS: readonly SheddingStep[] = ['connections', 'history', 'low', 'presence'];

/** How the process of this node is. */
export interface ProcessLoad {
  /** How late the event loop was since the last reading, in milliseconds: nine in ten of its turns were later by less. */
  readonly loopDelayMs: number;
  /** Share of the memory that the process may have, 0 to 1; the larger of the shares of the container and of the heap. */
  readonly memory: number;
}

/** How loaded this node is. */
export interface OverloadSample extends ProcessLoad {
  /** How long the work of a client for whom nothing else waits has to wait for its turn, in milliseconds. */
  readonly queueAgeMs: number;
}

/** Reads how the process is. One of each engine. */
export interface ProcessSampler {
  start(): void;
  /** Of the time since the last reading, or since the start. */
  read(): ProcessLoad;
  stop(): void;
}

/** When a node is overloaded, and what it then does. */
export interface SheddingPolicy {
  /** Delay of the event loop from which on it is. */
  readonly loopDelayMs: number;
  /** Percent of the memory from which on it is. */
  readonly memoryPercent: number;
  /** Time from which on it is, as {@link OverloadSample.queueAgeMs}. */
  readonly queueAgeMs: number;
  /** How long it is overloaded before each step. */
  readonly raiseAfterMs: number;
  /** How long it is below {@link RELIEF} of all of these before each step is undone. */
  readonly lowerAfterMs: number;
  /** The last step that may be taken. */
  readonly upTo: SheddingStep;
}

/** Share of the thresholds below which a node is relieved. Between the two nothing changes. */
export const RELIEF = 0.6;

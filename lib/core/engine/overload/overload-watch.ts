import type { OverloadSwitch } from '../../access/overload-switch.js';
import type { ThrottledLog } from '../../async/throttled-log.js';
import type { TurnClient, Turns } from '../../async/turns.js';
import type { Clock, Scheduled } from '../../ports/clock.js';
import type { Observer } from '../../ports/observer.js';
import {
  SHEDDING_STEPS,
  type OverloadSample,
  type ProcessSampler,
  type SheddingPolicy,
  type SheddingStep,
} from '../../ports/overload.js';
import { OverloadSteps, type StepChange } from './overload-steps.js';

/** How often the load is read, in milliseconds. */
const EVERY_MS = 1_000;

const WORDS: Readonly<Record<SheddingStep, string>> = {
  connections: 'fresh connections are refused, and clients that come back are not',
  history: 'history commands are refused for now',
  low: 'events of channels of low priority are thinned out, and announced as missing',
  presence: 'presence commands and signals are refused for now',
};

/** Whose work is measured: a client for whom nothing else waits. */
const NOBODY: TurnClient = { client: '$overload', isClosed: false };

export interface OverloadWatchDeps {
  readonly policy: SheddingPolicy;
  readonly sampler: ProcessSampler;
  readonly overload: Pick<OverloadSwitch, 'change' | 'steps'>;
  /** Called when channels of low priority begin or end to be thinned out. */
  readonly onLow: (isOn: boolean) => void;
  readonly turns: Pick<Turns, 'turn'>;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly journal: Pick<ThrottledLog, 'warn'>;
}

/** Reads the load of this node in regular times, and takes and undoes the steps against it (G33). */
export class OverloadWatch {
  private readonly steps: OverloadSteps;
  private timer: Scheduled | undefined;
  private running = false;
  /** Monotonic time at which the work came that waits for its turn now. */
  private waitsSince: number | undefined;
  /** How long work waited since the last reading. */
  private waitedMs = 0;

  constructor(private readonly deps: OverloadWatchDeps) {
    this.steps = new OverloadSteps(deps.policy);
  }

  start(): void {
    this.running = true;
    this.deps.sampler.start();
    this.schedule();
  }

  /** Idempotent. What was given up stays given up: the node ends. */
  close(): void {
    if (!this.running) return;
    this.running = false;
    this.timer?.cancel();
    this.deps.sampler.stop();
  }

  private schedule(): void {
    this.timer = this.deps.clock.schedule(EVERY_MS, () => {
      this.read();
      this.schedule();
    });
    this.queueUp();
  }

  private read(): void {
    const now = this.deps.clock.monotonic();
    const waitsMs = this.waitsSince === undefined ? 0 : now - this.waitsSince;
    const sample = { ...this.deps.sampler.read(), queueAgeMs: Math.max(this.waitedMs, waitsMs) };
    this.waitedMs = 0;
    const change = this.steps.note(sample, now);
    if (change !== undefined) this.apply(change, sample);
  }

  /** Reads wait longest, so this is one. It costs nothing while nobody waits. */
  private queueUp(): void {
    if (this.waitsSince !== undefined) return;
    const { clock, turns } = this.deps;
    const since = clock.monotonic();
    const turn = turns.turn(NOBODY, true);
    if (turn === undefined) return;
    this.waitsSince = since;
    void turn.then(() => {
      this.waitsSince = undefined;
      this.waitedMs = clock.monotonic() - since;
    });
  }

  private apply({ steps, isMore }: StepChange, sample: OverloadSample): void {
    const { overload, observer, journal, onLow } = this.deps;
    const step = SHEDDING_STEPS[isMore ? steps - 1 : steps] as SheddingStep;
    overload.change(steps);
    if (step === 'low') onLow(isMore);
    const reason = this.reasonOf(sample);
    observer.onOverload?.(step, isMore, reason);
    journal.warn(`overload ${step} ${isMore}`, () =>
      isMore
        ? `This node is overloaded (${reason}): ${WORDS[step]}`
        : `This node is relieved (${reason}), so this ends: ${WORDS[step]}`,
    );
  }

  private reasonOf({ loopDelayMs, memory, queueAgeMs }: OverloadSample): string {
    const percent = Math.round(memory * 100);
    return `event loop ${Math.round(loopDelayMs)} ms late, ${percent} % of the memory, queue ${Math.round(queueAgeMs)} ms old`;
  }
}

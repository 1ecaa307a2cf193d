import type { DrainSwitch } from '../access/drain-switch.js';
import type { TimerWheel } from '../async/timer-wheel.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { Entropy } from '../ports/entropy.js';
import type { EngineSettings } from '../ports/settings.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import { isDone, sayBye } from './drain.js';

/** Share of the age by which a connection may end earlier, at random: those that came together do not leave together. */
const JITTER = 0.2;
const STEP_MS = 100;
/** So much faster than they become old: what has come together ends soon. */
const HEADROOM = 1.25;
/** How long a connection has for what is under way and queued, in milliseconds. */
const LEAVE_MS = 10_000;
/** Over how long clients come back, in milliseconds. Few are asked at a time, so it may be short. */
const SPREAD_MS = 250;

export interface RotationDeps {
  readonly settings: Pick<EngineSettings, 'maxConnectionAgeMs'>;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly entropy: Pick<Entropy, 'random'>;
  readonly sessions: Pick<SessionRegistry, 'size'>;
  readonly drain: Pick<DrainSwitch, 'isDraining'>;
}

/**
 * Asks connections that are old to come back, a few at a time (G18): so new nodes get their share of the clients, and no connection
 * outlives what a proxy or a credential allows. Each resumes elsewhere as after a drain.
 */
export class Rotation {
  /** Connections that are old enough, in the order in which they became so. */
  private readonly due = new Set<Session>();
  /** Connections that were asked, with the monotonic time until which they have. */
  private readonly leaving = new Map<Session, number>();
  private timer: Scheduled | undefined;
  /** Connections of this node, the most since some are due. */
  private most = 0;

  constructor(private readonly deps: RotationDeps) {}

  /** A connection is live from now on. @returns the timer that calls `onTimer` of the session when it is old. */
  begin(session: Session): Scheduled | undefined {
    const { settings, wheel, entropy } = this.deps;
    if (settings.maxConnectionAgeMs === 0) return undefined;
    return wheel.schedule(settings.maxConnectionAgeMs * (1 - JITTER * entropy.random()), session);
  }

  /** A connection is old. */
  end(session: Session): void {
    this.due.add(session);
    this.schedule();
  }

  close(): void {
    this.timer?.cancel();
    this.due.clear();
    this.leaving.clear();
  }

  private schedule(): void {
    this.timer ??= this.deps.clock.schedule(STEP_MS, () => {
      this.timer = undefined;
      this.step();
      if (this.due.size + this.leaving.size > 0) this.schedule();
    });
  }

  private step(): void {
    const { clock, drain } = this.deps;
    // A drain asks everybody.
    if (drain.isDraining) return this.close();
    const now = clock.monotonic();
    for (const [session, until] of this.leaving) {
      if (!session.isClosed && !isDone(session) && now < until) continue;
      this.leaving.delete(session);
      session.close('rotate');
    }
    let left = this.pace();
    for (const session of this.due) {
      if (left === 0) break;
      this.due.delete(session);
      if (session.isClosed) continue;
      left--;
      this.leaving.set(session, now + LEAVE_MS);
      sayBye(session, clock, { name: 'rotate', spreadMs: SPREAD_MS });
    }
  }

  /** As many in one step as end all connections that there were within the time over which they are spread, and some more. */
  private pace(): number {
    const { settings, sessions } = this.deps;
    this.most = this.due.size === 0 ? 0 : Math.max(this.most, sessions.size);
    const steps = (settings.maxConnectionAgeMs * JITTER) / STEP_MS;
    return Math.max(1, Math.ceil((this.most * HEADROOM) / steps));
  }
}

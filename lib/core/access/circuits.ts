import { RealtimeError } from '../../protocol/realtime-error.js';
import { trimOldest } from '../async/oldest.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Clock } from '../ports/clock.js';
import { spreadWait, type Entropy } from '../ports/entropy.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { Observer } from '../ports/observer.js';
import type { CircuitPolicy, EngineSettings } from '../ports/settings.js';
import { OverdueError } from '../async/overdue-error.js';
import { subjectKey } from './subject-buckets.js';
import { TrialGate, type GateState } from './trial-gate.js';

/** Clients of whose failures something is known, over all handlers. */
const MAX_FAILING = 10_000;
/** Clients for which one handler worked, that are told apart in one window. */
const MAX_HEALTHY = 256;

/** Code of the refusal while a circuit is open: of an authorization, or of a handler. Neither has run. */
export type OpenCode = 'unavailable' | 'rate_limited';

export interface CircuitsDeps {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly entropy: Pick<Entropy, 'random'>;
  readonly journal: Pick<ThrottledLog, 'warn'>;
  readonly observer: Pick<Observer, 'onCircuit'>;
  readonly settings: Pick<EngineSettings, 'circuits'>;
}

/** A handler, or an authorization, and what became of its calls in this window. */
class Circuit {
  readonly gate = new TrialGate();
  /** Tells outcomes of calls that began before it opened or closed: they say nothing of what followed. */
  age = 0;
  window = 0;
  windowEndsAt = 0;
  /** Calls that worked, or were refused on purpose. */
  worked = 0;
  /** Calls that failed, of each client so many at most. */
  failed = 0;
  /** Counts failures, so that calls that fail together are told from those that fail one after another. */
  seen = 0;
  /** Clients whose last call failed. */
  failing = 0;
  /** Clients whose last call worked, since the first failure of the window. */
  readonly healthy = new Set<string>();

  constructor(
    readonly number: number,
    readonly name: string,
  ) {}
}

/** The calls of one client to one handler, where some failed. */
interface FailingClient {
  window: number;
  /** Failures in this window. */
  failures: number;
  /** Those since the last call that worked. */
  inRow: number;
  /** As of {@link Circuit.seen}: what began before it is no further one in a row. */
  countedAt: number;
  isFailing: boolean;
  readonly gate: TrialGate;
}

/** Whose trial a call is: a sum of both. */
const OF_HANDLER = 1;
const OF_CLIENT = 2;

/**
 * Leaves handlers alone that keep failing, for the clients whose calls fail, or for all (G16). What counts is an error that was not
 * meant for the client, or no answer in time; to refuse is no failure. For all it opens only where several clients fail, and most of
 * those that call, each of which counts with so many failures at most: one whose input a handler cannot stand ends up alone.
 */
export class Circuits {
  private readonly circuits = new WeakMap<object, Circuit>();
  private readonly failing = new Map<string, FailingClient>();
  private readonly policy: CircuitPolicy;
  /** Failures of one client that count for the handler. */
  private readonly perClient: number;
  private readonly isOff: boolean;
  private count = 0;

  constructor(private readonly deps: CircuitsDeps) {
    this.policy = deps.settings.circuits;
    const { failures, clients, clientFailures } = this.policy;
    this.perClient = Math.ceil(failures / clients);
    this.isOff = failures === 0 && clientFailures === 0;
  }

  /** Clients that are kept. */
  get size(): number {
    return this.failing.size;
  }

  /**
   * Calls a handler, unless its circuit is open.
   *
   * @param handler by which the circuit is known.
   * @param clientOf names the client whose command it is.
   * @param what the handler is, in the words of the application.
   * @param code of the refusal.
   * @param work begins the call, within its time.
   * @throws RealtimeError with that code, the reason `circuit_open` and `retryAfterMs`, where it was not called.
   */
  guard<T>(
    handler: object,
    clientOf: () => string,
    what: () => string,
    code: OpenCode,
    work: () => MaybePromise<T>,
  ): MaybePromise<T> {
    if (this.isOff) return work();
    const circuit = this.circuitOf(handler, what);
    const trial = this.enter(circuit, clientOf, code);
    const { age, seen } = circuit;
    let value: MaybePromise<T>;
    try {
      value = work();
    } catch (error) {
      this.settle(circuit, age, seen, trial, clientOf, isFailed(error));
      throw error;
    }
    if (!isPromise(value)) {
      this.settle(circuit, age, seen, trial, clientOf, false);
      return value;
    }
    return value.then(
      (result) => {
        this.settle(circuit, age, seen, trial, clientOf, false);
        return result;
      },
      (error: unknown) => {
        this.settle(circuit, age, seen, trial, clientOf, isFailed(error));
        throw error;
      },
    );
  }
  private circuitOf(handler: object, what: () => string): Circuit {
    const known = this.circuits.get(handler);
    if (known !== undefined) return known;
    const circuit = new Circuit(this.count++, what());
    this.circuits.set(handler, circuit);
    return circuit;
  }

  /** @returns whose trial the call is; 0 where all is well. */
  private enter(circuit: Circuit, clientOf: () => string, code: OpenCode): number {
    const isClosed = circuit.gate.state === 'closed';
    if (isClosed && this.failing.size === 0) return 0;
    const client = clientOf();
    const known = this.failing.get(keyOf(circuit, client));
    const ofClient = known !== undefined && known.gate.state !== 'closed' ? known : undefined;
    if (isClosed && ofClient === undefined) return 0;
    const now = this.deps.clock.monotonic();
    if (ofClient !== undefined) {
      const waitMs = this.try(ofClient.gate, circuit, client, now, client);
      if (waitMs > 0) throw this.refusal(waitMs, code, 'Your calls of this handler kept failing');
      if (isClosed) return OF_CLIENT;
    }
    const waitMs = this.try(circuit.gate, circuit, client, now, undefined);
    if (waitMs === 0) return ofClient === undefined ? OF_HANDLER : OF_HANDLER + OF_CLIENT;
    ofClient?.gate.release();
    throw this.refusal(waitMs, code, 'This handler keeps failing');
  }

  private try(
    gate: TrialGate,
    circuit: Circuit,
    client: string,
    now: number,
    of: string | undefined,
  ): number {
    const before = gate.state;
    const waitMs = gate.try(client, now);
    if (gate.state !== before) this.notify(circuit, gate.state, of);
    return waitMs;
  }

  private settle(
    circuit: Circuit,
    age: number,
    seen: number,
    trial: number,
    clientOf: () => string,
    isFailure: boolean,
  ): void {
    // Nearly all calls work, and cost no more than this.
    if (!isFailure && trial === 0 && circuit.failed === 0 && circuit.gate.state === 'closed') {
      this.roll(circuit, this.deps.clock.monotonic());
      circuit.worked++;
      return;
    }
    const now = this.deps.clock.monotonic();
    const client = clientOf();
    const wasCounted = age === circuit.age && circuit.gate.state === 'closed';
    this.roll(circuit, now);
    if (isFailure) this.noteFailure(circuit, client, seen, trial, wasCounted, now);
    else this.noteSuccess(circuit, client, trial, wasCounted, now);
  }

  private noteSuccess(
    circuit: Circuit,
    client: string,
    trial: number,
    isCounted: boolean,
    now: number,
  ): void {
    const known = this.failing.get(keyOf(circuit, client));
    if (known !== undefined) {
      known.inRow = 0;
      if (known.isFailing && known.window === circuit.window) circuit.failing--;
      known.isFailing = false;
      if ((trial & OF_CLIENT) !== 0 && known.gate.succeeded(now)) {
        this.notify(circuit, 'closed', client);
        this.failing.delete(keyOf(circuit, client));
      }
    }
    if ((trial & OF_HANDLER) !== 0 && circuit.gate.succeeded(now)) this.change(circuit, 'closed');
    if (!isCounted) return;
    circuit.worked++;
    if (circuit.healthy.size < MAX_HEALTHY) circuit.healthy.add(subjectKey(client));
  }

  private noteFailure(
    circuit: Circuit,
    client: string,
    seen: number,
    trial: number,
    isCounted: boolean,
    now: number,
  ): void {
    const { policy } = this;
    const known = this.clientAt(circuit, client);
    circuit.seen++;
    if ((trial & OF_CLIENT) !== 0) {
      if (known.gate.failed(undefined, now, policy)) this.notify(circuit, 'open', client);
    } else if (known.gate.state === 'closed' && seen >= known.countedAt) {
      // Calls that ran at the same time, as those of many channels do, fail for one reason.
      known.countedAt = circuit.seen;
      known.inRow++;
      if (policy.clientFailures > 0 && known.inRow >= policy.clientFailures) {
        known.inRow = 0;
        known.gate.open(now, policy);
        this.notify(circuit, 'open', client);
      }
    }
    if ((trial & OF_HANDLER) !== 0) {
      if (circuit.gate.failed(client, now, policy)) this.change(circuit, 'open');
      return;
    }
    if (!isCounted) return;
    if (++known.failures <= this.perClient) circuit.failed++;
    if (!known.isFailing) circuit.failing++;
    known.isFailing = true;
    circuit.healthy.delete(subjectKey(client));
    if (!this.isBroken(circuit)) return;
    circuit.gate.open(now, policy);
    this.change(circuit, 'open');
  }

  private isBroken({ failed, failing, worked, healthy }: Circuit): boolean {
    const { failures, clients, share } = this.policy;
    const isShare = (part: number, rest: number): boolean => part * 100 >= share * (part + rest);
    return (
      failures > 0 &&
      failed >= failures &&
      failing >= clients &&
      isShare(failed, worked) &&
      isShare(failing, healthy.size)
    );
  }

  private clientAt(circuit: Circuit, client: string): FailingClient {
    const key = keyOf(circuit, client);
    const known = this.failing.get(key) ?? {
      window: circuit.window,
      failures: 0,
      inRow: 0,
      countedAt: 0,
      isFailing: false,
      gate: new TrialGate(),
    };
    if (known.window !== circuit.window) {
      known.window = circuit.window;
      known.failures = known.inRow = 0;
      known.isFailing = false;
    }
    // Removed first, so that the map stays in order of age.
    this.failing.delete(key);
    this.failing.set(key, known);
    trimOldest(this.failing, MAX_FAILING);
    return known;
  }

  /** Begins to count anew where the window is over. */
  private roll(circuit: Circuit, now: number): void {
    if (now >= circuit.windowEndsAt) this.restart(circuit, now);
  }

  private restart(circuit: Circuit, now: number): void {
    circuit.window++;
    circuit.windowEndsAt = now + this.policy.windowMs;
    circuit.worked = circuit.failed = circuit.failing = 0;
    circuit.healthy.clear();
  }

  private change(circuit: Circuit, state: GateState): void {
    circuit.age++;
    this.restart(circuit, this.deps.clock.monotonic());
    this.notify(circuit, state, undefined);
  }

  private notify({ name }: Circuit, state: GateState, client: string | undefined): void {
    const { journal, observer } = this.deps;
    observer.onCircuit?.({ handler: name, state, of: client === undefined ? 'all' : 'one' });
    if (client !== undefined || state === 'half_open') return;
    journal.warn(`circuit ${name} ${state}`, () =>
      state === 'open'
        ? `${name} keeps failing for most of its clients: it is left alone for a time, and commands that need it are refused ` +
          'with the reason circuit_open (circuits). The errors are logged above'
        : `${name} works again: its circuit is closed`,
    );
  }

  private refusal(waitMs: number, code: OpenCode, why: string): RealtimeError {
    return new RealtimeError(code, `${why}: it was not called, and is left alone for a time`, {
      reason: 'circuit_open',
      retryAfterMs: spreadWait(waitMs, this.deps.entropy),
    });
  }
}

/** Whether an error says that the handler did not work, not that it refused. */
function isFailed(error: unknown): boolean {
  return !(error instanceof RealtimeError) || error.code === 'internal' || error instanceof OverdueError;
}

function keyOf({ number }: Circuit, client: string): string {
  return `${number} ${subjectKey(client)}`;
}

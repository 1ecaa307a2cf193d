import { WaitingLines } from '../async/waiting-lines.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { Handshake } from '../ports/connection.js';
import { BEHIND_PROXY } from '../ports/ip-address.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { EngineSettings } from '../ports/settings.js';
import type { Refusal } from '../ports/transport-host.js';
import { RateLimit } from './rate-limit.js';
import { SubjectBuckets } from './subject-buckets.js';

/** Shortest advice to a client that connects too often, in milliseconds. */
const RETRY_AFTER_MS = 2_000;

export interface ConnectRateDeps {
  readonly clock: Clock;
  readonly settings: Pick<EngineSettings, 'limits'>;
}

/**
 * The rate of new connections of an address (G16). What comes above it waits in the line of the address, so that others behind the
 * same address get in while one of them connects as fast as it can.
 */
export class ConnectRate {
  private readonly buckets: SubjectBuckets;
  private readonly lines: WaitingLines;
  /** One for each address with a line. */
  private readonly timers = new Map<string, Scheduled>();

  constructor(private readonly deps: ConnectRateDeps) {
    const { connectsPerSecond, maxConnectionsPerAddress, maxRateBuckets, maxWaitingBytes, admissionWaitMs } =
      deps.settings.limits;
    const burst = Math.max(maxConnectionsPerAddress, 2 * connectsPerSecond);
    this.buckets = new SubjectBuckets(new RateLimit(connectsPerSecond, burst), maxRateBuckets);
    this.lines = new WaitingLines({
      clock: deps.clock,
      maxBytes: maxWaitingBytes,
      // Who would wait too long does not wait at all. A wait that is computed may end later, where timers are late.
      maxWaitMs: 2 * admissionWaitMs,
      onLineEnd: (network) => {
        this.timers.get(network)?.cancel();
        this.timers.delete(network);
      },
    });
  }

  /** How many wait. */
  get waiting(): number {
    return this.lines.size;
  }

  /** Waits until the address may open a further connection. @param bytes of the request. @returns `undefined` where it may. */
  enter(handshake: Handshake, bytes: number): MaybePromise<Refusal | undefined> {
    const { network } = handshake;
    const { clock, settings } = this.deps;
    const now = clock.monotonic();
    const ahead = this.lines.lengthOf(network);
    if (ahead === 0 && this.buckets.take(network, 1, now)) return undefined;
    const { connectsPerSecond, admissionWaitMs } = settings.limits;
    const waitMs = this.buckets.waitFor(network, 1, now) + (ahead * 1_000) / connectsPerSecond;
    // Who would wait too long is refused at once.
    const turn = waitMs > admissionWaitMs ? undefined : this.lines.join(network, handshake, bytes);
    if (turn === undefined) return this.refusal(waitMs);
    this.watch(network);
    return turn.then((end) => (end === 'served' ? undefined : this.refusal(waitMs)));
  }

  /** The same for what does not wait: nothing that waits is overtaken. */
  enterAtOnce({ network }: Pick<Handshake, 'network'>): Refusal | undefined {
    const now = this.deps.clock.monotonic();
    if (this.lines.lengthOf(network) === 0 && this.buckets.take(network, 1, now)) return undefined;
    return this.refusal(this.buckets.waitFor(network, 1, now));
  }

  /** The client of a handshake is gone. */
  leave(handshake: Handshake): void {
    this.lines.leave(handshake);
  }

  private watch(network: string): void {
    if (this.timers.has(network) || this.lines.lengthOf(network) === 0) return;
    const { clock } = this.deps;
    const waitMs = Math.max(1, Math.ceil(this.buckets.waitFor(network, 1, clock.monotonic())));
    this.timers.set(
      network,
      clock.schedule(waitMs, () => {
        this.timers.delete(network);
        const now = clock.monotonic();
        while (this.lines.lengthOf(network) > 0 && this.buckets.take(network, 1, now))
          this.lines.serve(network);
        this.watch(network);
      }),
    );
  }

  private refusal(waitMs: number): Refusal {
    const { connectsPerSecond } = this.deps.settings.limits;
    return {
      status: 429,
      message: 'Too many new connections from this address',
      retryAfterMs: Math.max(RETRY_AFTER_MS, Math.ceil(waitMs)),
      hint:
        `limits.connectsPerSecond is ${connectsPerSecond}, and this one would wait longer than limits.admissionWait. ` +
        BEHIND_PROXY,
    };
  }
}

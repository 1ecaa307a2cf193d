import type { ThrottledLog } from '../async/throttled-log.js';
import { WaitingLines } from '../async/waiting-lines.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { Handshake } from '../ports/connection.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { EngineSettings } from '../ports/settings.js';
import type { Refusal } from '../ports/transport-host.js';
import { RateLimit } from './rate-limit.js';
import { SubjectBuckets } from './subject-buckets.js';

/** Shortest advice to a client that connects too often, in milliseconds. */
const RETRY_AFTER_MS = 2_000;

export interface ConnectRateDeps {
  readonly clock: Clock;
  readonly journal: Pick<ThrottledLog, 'warn'>;
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
      onLineEnd: (ip) => {
        this.timers.get(ip)?.cancel();
        this.timers.delete(ip);
      },
    });
  }

  /** Waits until the address may open a further connection. @param bytes of the request. @returns `undefined` where it may. */
  enter(handshake: Handshake, bytes: number): MaybePromise<Refusal | undefined> {
    const { ip } = handshake;
    const { clock, settings } = this.deps;
    const now = clock.monotonic();
    const ahead = this.lines.lengthOf(ip);
    if (ahead === 0 && this.buckets.take(ip, 1, now)) return undefined;
    const { connectsPerSecond, admissionWaitMs } = settings.limits;
    const waitMs = this.buckets.waitFor(ip, 1, now) + (ahead * 1_000) / connectsPerSecond;
    // Who would wait in vain is told at once.
    const turn = waitMs > admissionWaitMs ? undefined : this.lines.join(ip, handshake, bytes);
    if (turn === undefined) return this.refusal(ip, waitMs);
    this.watch(ip);
    return turn.then((end) => (end === 'served' ? undefined : this.refusal(ip, waitMs, end === 'left')));
  }

  /** The client of a handshake is gone. */
  leave(handshake: Handshake): void {
    this.lines.leave(handshake);
  }

  private watch(ip: string): void {
    if (this.timers.has(ip) || this.lines.lengthOf(ip) === 0) return;
    const { clock } = this.deps;
    const waitMs = Math.max(1, Math.ceil(this.buckets.waitFor(ip, 1, clock.monotonic())));
    this.timers.set(
      ip,
      clock.schedule(waitMs, () => {
        this.timers.delete(ip);
        const now = clock.monotonic();
        while (this.lines.lengthOf(ip) > 0 && this.buckets.take(ip, 1, now)) this.lines.serve(ip);
        this.watch(ip);
      }),
    );
  }

  private refusal(ip: string, waitMs: number, hasLeft = false): Refusal {
    const { connectsPerSecond } = this.deps.settings.limits;
    if (!hasLeft)
      this.deps.journal.warn(
        'connects',
        () =>
          `The address ${ip} connects more often than ${connectsPerSecond} times a second (limits.connectsPerSecond), and those ` +
          'that would wait longer than limits.admissionWait are refused with 429. Behind a proxy, set trustProxy',
      );
    return {
      status: 429,
      message: 'Too many new connections from this address',
      retryAfterMs: Math.max(RETRY_AFTER_MS, Math.ceil(waitMs)),
    };
  }
}

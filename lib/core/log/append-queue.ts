import { RealtimeError } from '../../protocol/realtime-error.js';
import type { PublishResult } from '../../protocol/messages.js';
import { spreadWait } from '../ports/entropy.js';
import { rejected } from '../ports/maybe-promise.js';
import type { EnginePorts } from '../ports/settings.js';
import type { OpenSpan } from '../ports/tracer.js';
import type { Turns } from '../async/turns.js';
import type { AppendOutcome, AppendRequest } from '../ports/broker.js';

/** When a publish may be tried again that found too much on its way, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

interface Waiting {
  readonly request: AppendRequest;
  readonly pattern: string;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: RealtimeError) => void;
  readonly span: OpenSpan | undefined;
}

/** Wants to know of appends. */
export interface FollowedAppends {
  begin(channel: string, id: string): void;
  /** It added no event: it failed, may have failed, or was a retry. */
  none(channel: string, id: string): void;
}

/**
 * Collects the appends of a turn and passes them to the broker together. Each has its own result. What the broker has not answered
 * is bounded in bytes.
 */
export class AppendQueue {
  private waiting: Waiting[] = [];
  /** Bytes that the broker has not answered. */
  private bytes = 0;
  private readonly flush: () => void;

  constructor(
    private readonly ports: Pick<
      EnginePorts,
      'log' | 'clock' | 'entropy' | 'observer' | 'settings' | 'tracer'
    >,
    private readonly turns: Pick<Turns, 'afterwards'>,
    private readonly followed?: FollowedAppends,
  ) {
    const flush = (): void => this.sendWaiting();
    // What is handed to the broker belongs to all who wait, not to the first of them.
    this.flush = ports.tracer?.detached(flush) ?? flush;
  }

  /** Bytes of events that the broker has not answered. */
  get pendingBytes(): number {
    return this.bytes;
  }

  /**
   * @param pattern of the channel's definition, for the observer.
   * @throws RealtimeError `conflict`, `out_of_order`, `message_too_large`, `rate_limited`, `unavailable` or `timeout`.
   */
  append(request: AppendRequest, pattern: string): Promise<PublishResult> {
    const { maxAppendBytes } = this.ports.settings.limits;
    const { bytes } = request;
    // A single event passes, however large.
    if (this.bytes > 0 && this.bytes + bytes > maxAppendBytes)
      return rejected(
        new RealtimeError(
          'unavailable',
          `Publishes of ${this.bytes} bytes wait for the broker, as much as limits.maxAppendBytes allows (${maxAppendBytes}); this ` +
            'one was not sent. Publish more slowly, or wait for the results',
          { retryAfterMs: spreadWait(RETRY_AFTER_MS, this.ports.entropy) },
        ),
      );
    this.bytes += bytes;
    this.followed?.begin(request.channel, request.event.id);
    return new Promise((resolve, reject) => {
      if (this.waiting.length === 0) this.turns.afterwards(this.flush);
      const span = this.ports.tracer?.appending(pattern);
      this.waiting.push({ request, pattern, resolve, reject, span });
    });
  }

  /** `async`, so that a broker that throws synchronously or answers nothing, against its port, does not end the process. */
  private async send(batch: readonly Waiting[]): Promise<readonly AppendOutcome[]> {
    const outcomes: unknown = await this.ports.log.appendMany(batch.map(({ request }) => request));
    return Array.isArray(outcomes) ? (outcomes as AppendOutcome[]) : [];
  }

  private sendWaiting(): void {
    const batch = this.waiting;
    this.waiting = [];
    const startedAt = this.ports.observer.onPublish === undefined ? 0 : this.ports.clock.monotonic();
    this.send(batch).then(
      (outcomes) => batch.forEach((waiting, index) => this.settle(waiting, outcomes[index], startedAt)),
      (error: unknown) => {
        const reason =
          error instanceof RealtimeError
            ? error
            : new RealtimeError('unavailable', undefined, { cause: error });
        for (const waiting of batch) this.fail(waiting, reason, startedAt);
      },
    );
  }

  private settle(waiting: Waiting, outcome: AppendOutcome | undefined, startedAt: number): void {
    if (outcome?.ok !== true) return this.fail(waiting, errorOf(outcome), startedAt);
    const { position, duplicate } = outcome;
    const { bytes, channel, event } = waiting.request;
    this.bytes -= bytes;
    // It was delivered when it came for the first time.
    if (duplicate) this.followed?.none(channel, event.id);
    waiting.span?.end();
    waiting.resolve({ ...position, duplicate });
    const { observer, clock } = this.ports;
    observer.onPublish?.(waiting.pattern, duplicate ? 'duplicate' : 'ok', clock.monotonic() - startedAt);
  }

  private fail({ reject, pattern, request, span }: Waiting, reason: RealtimeError, startedAt: number): void {
    this.bytes -= request.bytes;
    this.followed?.none(request.channel, request.event.id);
    span?.end(reason.code);
    reject(reason);
    const { observer, clock } = this.ports;
    observer.onPublish?.(pattern, reason.code, clock.monotonic() - startedAt);
  }
}

/** @param outcome `undefined` from a broker that answered fewer appends than it was given. */
function errorOf(outcome: Exclude<AppendOutcome, { ok: true }> | undefined): RealtimeError {
  if (outcome === undefined) return new RealtimeError('unavailable');
  const { code, message, retryAfterMs } = outcome;
  return new RealtimeError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });
}

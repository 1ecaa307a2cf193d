import type { HookEvent } from '../../../lib/hooks/hook-event.js';
import type { DeliveryTarget } from '../../../lib/hooks/target-queue.js';

const TYPES: readonly HookEvent['type'][] = [
  'channel.occupied',
  'channel.vacated',
  'member.joined',
  'member.left',
  'user.offline',
];

/** An attempt whose outcome the test gives. */
export interface OpenAttempt {
  readonly id: string;
  readonly signal: AbortSignal;
  take(): void;
  fail(error: Error): void;
}

/** A target that notes what it is called with; each attempt waits for the test, unless `answer` is set. */
export class FakeTarget implements DeliveryTarget {
  readonly types: ReadonlySet<HookEvent['type']>;
  readonly timeoutMs: number | undefined;
  readonly maxAgeMs: number | undefined;
  /** Attempts in their order, by the ids of their events. */
  readonly attempts: string[] = [];
  /** Those that were taken. */
  readonly taken: string[] = [];
  readonly open: OpenAttempt[] = [];
  /** Most attempts at the same time. */
  most = 0;
  /** Decides at once; throws for a failure. */
  answer: ((event: HookEvent) => void) | undefined;

  constructor(
    readonly name = 'fake',
    {
      types = TYPES,
      timeoutMs,
      maxAgeMs,
    }: Partial<Pick<DeliveryTarget, 'timeoutMs' | 'maxAgeMs'>> & {
      readonly types?: readonly HookEvent['type'][];
    } = {},
  ) {
    this.types = new Set(types);
    this.timeoutMs = timeoutMs;
    this.maxAgeMs = maxAgeMs;
  }

  async deliver(event: HookEvent, signal: AbortSignal): Promise<void> {
    const { id } = event;
    this.attempts.push(id);
    if (this.answer !== undefined) {
      this.answer(event);
      this.taken.push(id);
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void): void => {
        this.open.splice(this.open.indexOf(attempt), 1);
        settle();
      };
      const attempt: OpenAttempt = {
        id,
        signal,
        take: () =>
          end(() => {
            this.taken.push(id);
            resolve();
          }),
        fail: (error) => end(() => reject(error)),
      };
      this.open.push(attempt);
      this.most = Math.max(this.most, this.open.length);
    });
  }

  /** The attempt that is open for an event. */
  of(id: string): OpenAttempt {
    const attempt = this.open.find((one) => one.id === id);
    if (attempt === undefined) throw new Error(`No attempt for ${id} is open`);
    return attempt;
  }
}

/** An event of a channel. */
export function occupied(id: string, channel = 'rooms.1'): HookEvent {
  return { id, type: 'channel.occupied', at: 1_767_225_600_000, channel };
}

/** A notice to a user who is offline. */
export function offline(id: string, user = 'u1', payload: unknown = { text: 'hello' }): HookEvent {
  return {
    id,
    type: 'user.offline',
    at: 1_767_225_600_000,
    user,
    notice: { event: 'notice', id: `n-${id}`, payload },
  };
}

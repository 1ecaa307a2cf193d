import { withTimeout } from '../core/async/with-timeout.js';
import type { Broker } from '../core/ports/broker.js';
import type { Clock } from '../core/ports/clock.js';
import type { StorageFacts } from './facts.js';
import { time } from './words.js';

/** What the broker has on top of the time that it was given, before the doctor stops waiting, in milliseconds. */
const SLACK_MS = 500;

/** Asks the broker about its storage, within a time. */
export async function askStorage(
  broker: Broker,
  { offline, timeoutMs }: { readonly offline: boolean; readonly timeoutMs: number },
  clock: Clock,
): Promise<StorageFacts> {
  const { capabilities } = broker;
  if (broker.inspect === undefined)
    return { state: capabilities.durability === 'process' ? 'inside' : 'silent' };
  if (offline) return { state: 'unasked' };
  const from = clock.monotonic();
  try {
    const asked = broker.inspect(timeoutMs);
    const late = `no answer within ${time(timeoutMs)}.`;
    const weaknesses = await withTimeout(asked, timeoutMs + SLACK_MS, clock, late);
    return { state: 'asked', tookMs: clock.monotonic() - from, weaknesses };
  } catch (error) {
    const [why = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { state: 'away', why };
  }
}

import type { Redis } from 'ioredis';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { withTimeout } from '../../../core/async/with-timeout.js';
import type { Clock } from '../../../core/ports/clock.js';
import { RealtimeError } from '../../../protocol/realtime-error.js';
import { NO_ANSWER } from '../errors.js';
import type { RedisSettings } from '../settings.js';
import { isCluster, type RedisClient } from './target.js';

/** Time to take in what has arrived, after the event loop stood still. */
const READ_MS = 20;

/**
 * Waits for an answer. When the event loop stood still, timers run before sockets are read: the answer may have arrived, so
 * it is waited for a little longer before it counts as missing.
 *
 * @throws RealtimeError `timeout` when there is no answer; what the answer itself rejects with is passed on.
 */
export async function answerWithin<T>(answer: Promise<T>, ms: number, clock: Clock): Promise<T> {
  try {
    return await withTimeout(answer, ms, clock, NO_ANSWER);
  } catch (error) {
    if (!(error instanceof RealtimeError)) throw error;
  }
  await nextTurn();
  return await withTimeout(answer, READ_MS, clock, NO_ANSWER);
}

/** Connections that were disconnected and have not closed yet. */
const closing = new WeakSet<Redis>();

/**
 * Disconnects a connection on which nothing comes back; until it has closed, doing so again does nothing. A server that
 * hangs does not close its side, so that takes as long as ioredis waits for it, and ioredis keeps a timer and a listener for
 * every time it is asked.
 *
 * @param reconnect Whether ioredis makes another connection.
 */
export function disconnectOnce(connection: Redis, reconnect: boolean): void {
  if (closing.has(connection)) return;
  closing.add(connection);
  connection.once('close', () => closing.delete(connection));
  connection.disconnect(reconnect);
}

/** Helps a client to a connection where ioredis does not. */
export class Reconnector {
  private connectedAt = 0;
  /** When the server was first seen to have answered something on this connection, which was not ready. */
  private answeredAt: number | undefined;

  constructor(
    private readonly client: RedisClient,
    private readonly settings: RedisSettings,
  ) {
    client.on('connect', () => {
      this.connectedAt = settings.clock.monotonic();
      this.answeredAt = undefined;
    });
  }

  /** To be called regularly. @returns whether the server answers and has not become ready for a while: it loads its data. */
  looksLoading(): boolean {
    const { client } = this;
    // A server that hangs sends nothing at all.
    if (isCluster(client) || client.status !== 'connect' || client.stream.bytesRead === 0) return false;
    const { clock, heartbeatMs } = this.settings;
    this.answeredAt ??= clock.monotonic();
    return clock.monotonic() - this.answeredAt >= heartbeatMs / 2;
  }

  /** To be called regularly while the client is not ready. */
  check(): void {
    const { client } = this;
    const { clock, commandTimeoutMs } = this.settings;
    if (client.status === 'end') {
      // ioredis gives up for good when an attempt is interrupted at the wrong moment.
      client.connect().catch(() => undefined);
    } else if (!isCluster(client) && client.status === 'connect') {
      // A server that hangs accepts the connection and then says nothing; another may have taken its place.
      if (clock.monotonic() - this.connectedAt > commandTimeoutMs) disconnectOnce(client, true);
    }
  }
}

import { expect, it } from '@jest/globals';
import { elapse, stretched } from '../../patience.js';
import { until } from '../../until.js';
import { wireChannel } from '../../wire/channel.js';
import { sessionOf } from '../../wire/session.js';
import type { SessionClient, WireEnvelope } from '../../wire/session-client.js';
import type { Visit } from '../session-site.js';
import type { Stage } from './stage.js';

/** Larger than a socket takes at once. */
const FILLER = 'f'.repeat(128 * 1024);
/** More than kernels and proxies keep for a client that does not read. */
const MAX_FILLERS = 1_000;
const STILL_MS = stretched(250);
const STEP_MS = 5;

/** Kernels and proxies take some more for a while after they have held back: nothing has moved in all of this time. */
async function isStuck(outbox: {
  readonly isBlocked: boolean;
  readonly bufferedBytes: number;
}): Promise<boolean> {
  const { bufferedBytes } = outbox;
  const deadline = performance.now() + STILL_MS;
  while (performance.now() < deadline) {
    await elapse(STEP_MS);
    if (!outbox.isBlocked || outbox.bufferedBytes !== bufferedBytes) return false;
  }
  return true;
}

/** What happens to a client that takes less than its channels write. */
export function describeOverflow(stage: Stage): void {
  const { transport } = stage;

  const start = (): Promise<Visit> =>
    stage.start({
      channels: [
        wireChannel('disconnect.:room', { log: { size: 50 } }),
        wireChannel('oldest.:room', { log: { size: 50 }, policy: { overflow: 'drop-oldest' } }),
        wireChannel('newest.:room', { log: { size: 50 }, policy: { overflow: 'conflate' } }),
      ],
      settings: { outbox: { maxMessages: 20, maxBytes: 256 * 1024 * 1024 } },
    });

  /** A subscriber that takes nothing, until everything for it waits in its queue. @returns the last seq. */
  async function stalled(visit: Visit, channel: string): Promise<[client: SessionClient, seq: number]> {
    const client = await visit.connect(transport, 'ada');
    await client.subscribe(channel);
    const { outbox } = sessionOf(visit.server, 'ada');
    client.stopReading();
    for (let count = 1; count <= MAX_FILLERS; count++) {
      const { seq } = await visit.server.engine.application.publish(channel, 'filled', FILLER);
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (outbox.isBlocked && (await isStuck(outbox))) return [client, seq];
    }
    throw new Error(`${MAX_FILLERS} events went somewhere`);
  }

  /** Publishes one event a turn. @returns the last seq. */
  async function publish(visit: Visit, channel: string, count: number, key?: string): Promise<number> {
    let last = 0;
    for (let index = 0; index < count; index++) {
      const options = key === undefined ? {} : { key };
      last = (await visit.server.engine.application.publish(channel, 'said', index, options)).seq;
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    return last;
  }

  /** What comes up to an event that is published when the queue is empty, fillers aside. */
  async function drained(visit: Visit, client: SessionClient, channel: string): Promise<WireEnvelope[]> {
    client.goOnReading();
    await until('the queue to drain', () => sessionOf(visit.server, 'ada').outbox.bufferedBytes === 0);
    await visit.server.engine.application.publish(channel, 'done', null);
    await client.take({ event: 'done' });
    return client.pending.filter(({ event }) => event !== 'filled');
  }

  const seqsOf = (envelopes: readonly WireEnvelope[]): number[] =>
    envelopes.filter(({ type }) => type === 'event').map(({ seq }) => seq as number);

  it('that reads too slowly ends with 4003, and resumes without loss (P25, G13)', async () => {
    const visit = await start();
    const [client, seen] = await stalled(visit, 'disconnect.1');
    const last = await publish(visit, 'disconnect.1', 30);
    await until('the session to end', () => visit.server.engine.status.sessions === 0);
    client.goOnReading();
    expect([4003, 1006]).toContain((await client.expectClose()).code);
    const again = await visit.connect(transport, 'ada', { session: client.welcome?.session });
    const epoch = (await again.subscribe('disconnect.1'))['position'] as { epoch: string };
    await again.reply({ type: 'unsubscribe', channel: 'disconnect.1' });
    const position = { epoch: epoch.epoch, seq: seen };
    expect(await again.subscribe('disconnect.1', { position })).toMatchObject({ recovery: 'complete' });
    const missed = (await again.nextAll(last - seen, 'event')).map(({ seq }) => seq);
    expect(missed).toEqual(Array.from({ length: last - seen }, (_, index) => seen + 1 + index));
  });

  it('is notified which of the oldest events it was not sent (P25, G13)', async () => {
    const visit = await start();
    const [client] = await stalled(visit, 'oldest.1');
    const last = await publish(visit, 'oldest.1', 60);
    const got = await drained(visit, client, 'oldest.1');
    const seqs = seqsOf(got);
    const gaps = got.filter(({ type }) => type === 'gap').map(({ payload }) => payload);
    expect(gaps.at(-1)).toMatchObject({ to: (seqs[0] as number) - 1, reason: 'overflow', recoverable: true });
    expect(gaps).toHaveLength(1);
    expect(seqs.at(-1)).toBe(last);
    expect(seqs).toHaveLength(last - (seqs[0] as number) + 1);
    expect(seqs.length).toBeLessThanOrEqual(20);
  });

  it('is sent the newest of each key where the channel says so (P25)', async () => {
    const visit = await start();
    const [client] = await stalled(visit, 'newest.1');
    const last = await publish(visit, 'newest.1', 60, 'price');
    const got = await drained(visit, client, 'newest.1');
    expect(got.filter(({ type }) => type === 'gap')).toMatchObject([
      { payload: { reason: 'conflated', partial: true } },
    ]);
    expect(seqsOf(got).at(-1)).toBe(last);
    expect(seqsOf(got).length).toBeLessThanOrEqual(21);
  });
}

import { afterEach, describe, expect, it } from '@jest/globals';
import { OwnProcess } from '../../../lib/core/engine/overload/process-sampler.js';
import { SetLoad, SHEDDING } from '../../support/engine/overload.js';
import { stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { UpgradeRefused } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';
import { ask, hello } from '../http-session/raw.js';

let server: WireServer;
afterEach(() => server.close());

async function start(shedding: WireServerOptions['shedding']): Promise<void> {
  server = await startWireServer({
    channels: [
      wireChannel('rooms.:room', {
        publish: ['said'],
        signals: ['typing'],
        behaviour: { authorize: { signal: 'public' } },
      }),
      wireChannel('prices.:pair', { policy: { priority: 'low' } }),
    ],
    settings: { anonymous: true },
    shedding,
  });
}

const overload = () => server.engine['parts'].overload;

describe('an overloaded node on the wire (P34, G33)', () => {
  async function upgrade(protocols: string[] = []): Promise<number> {
    try {
      await server.open({ protocols: ['realtime.v1.json', ...protocols] });
      return 101;
    } catch (error) {
      if (!(error instanceof UpgradeRefused)) throw error;
      return error.status;
    }
  }

  it('fresh connections of every kind are refused with advice, sessions that continue are not (P34a, P2d)', async () => {
    await start({ policy: SHEDDING, sampler: new SetLoad() });
    const { welcome } = await server.connect('ada');
    const ticket = welcome?.session ?? '';
    overload().change(1);
    expect(await upgrade()).toBe(503);
    expect(await upgrade([`resume.x${ticket}`])).toBe(503);
    expect(await upgrade([`resume.${ticket}`])).toBe(101);
    for (const path of ['sse', 'poll']) {
      const opened = (headers: Record<string, string>) =>
        ask(`${server.httpUrl}/${path}`, JSON.stringify(hello({ token: 'bad' })), { headers });
      const refused = await opened({});
      expect(refused).toMatchObject({ status: 503 });
      expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(5);
      expect((await opened({ 'Realtime-Resume': ticket })).status).toBe(200);
    }
    overload().change(0);
    expect(await upgrade()).toBe(101);
  });

  it('a client is answered unavailable with advice for what pauses, and served as ever for the rest (P34b, P34d, P34e)', async () => {
    await start({ policy: SHEDDING, sampler: new SetLoad() });
    const ada = await server.connect('ada');
    const eve = await server.connect('eve');
    for (const client of [ada, eve]) await client.subscribe('rooms.1');
    overload().change(4);
    for (const command of [
      { type: 'history', channel: 'rooms.1', payload: {} },
      { type: 'presence', channel: 'rooms.1', payload: {} },
      { type: 'signal', channel: 'rooms.1', event: 'typing' },
    ])
      expect((await ada.call(command)).payload).toMatchObject({
        code: 'unavailable',
        retryable: true,
        retryAfterMs: expect.any(Number),
      });
    expect(await ada.call({ type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 })).toMatchObject({
      type: 'reply',
    });
    expect(await eve.take({ event: 'said' })).toMatchObject({ payload: 1 });
    expect(await ada.call({ type: 'ping' })).toMatchObject({ type: 'pong' });
    expect(await ada.subscribe('rooms.2')).toMatchObject({ recovery: 'new' });
  });

  it('an event loop that is kept busy takes the steps in order, and they end when it is free', async () => {
    const most = stretched(60);
    await start({
      policy: {
        ...SHEDDING,
        loopDelayMs: most,
        raiseAfterMs: 1_000,
        lowerAfterMs: 1_000,
        memoryPercent: 101,
      },
      sampler: new OwnProcess(),
    });
    const ada = await server.connect('ada');
    let busy = true;
    const work = (): void => {
      const end = performance.now() + 3 * most;
      while (performance.now() < end);
      if (busy) setImmediate(work);
    };
    const taken: number[] = [];
    const note = (): number => {
      const { steps } = overload();
      if (taken.at(-1) !== steps) taken.push(steps);
      return steps;
    };
    work();
    try {
      await until('all steps to be taken', () => note() === 4);
      expect(await ada.call({ type: 'ping' })).toMatchObject({ type: 'pong' });
      expect((await ada.call({ type: 'history', channel: 'rooms.1', payload: {} })).payload).toMatchObject({
        code: 'unavailable',
      });
    } finally {
      busy = false;
    }
    await until('all steps to be undone', () => note() === 0);
    expect(taken).toEqual([0, 1, 2, 3, 4, 3, 2, 1, 0].slice(taken[0] === 0 ? 0 : 1));
    expect(server.records.filter(({ message }) => message.includes('This node is'))).toHaveLength(8);
  });
});

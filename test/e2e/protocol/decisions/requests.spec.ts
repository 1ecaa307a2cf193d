import { afterEach, describe, expect, it } from '@jest/globals';
import { server, start, stop } from './setting.js';

afterEach(stop);

describe('signals, requests, history', () => {
  it('a signal reaches every subscriber, the sender included, and needs a subscription and a declaration (G10)', async () => {
    await start();
    const [alice, bob] = [await server.connect('alice'), await server.connect('bob')];
    const typing = { type: 'signal', channel: 'rooms.1', event: 'typing', payload: true };
    expect(await alice.error(typing)).toMatchObject({ code: 'not_subscribed' });
    await alice.subscribe('rooms.1');
    await bob.subscribe('rooms.1');
    expect(await alice.error({ ...typing, event: 'shouting' })).toMatchObject({ code: 'forbidden' });
    expect(await alice.reply(typing)).toEqual({});
    for (const client of [alice, bob]) {
      expect(await client.take({ type: 'signal' })).toMatchObject({
        event: 'typing',
        user: 'alice',
        payload: true,
      });
    }
    expect((await alice.reply({ type: 'history', channel: 'rooms.1' }))['events']).toEqual([]);
  });

  it('a request whose handler never answers is answered with outcome_unknown: it must not be sent again (P7b, P17c)', async () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    await start({
      requests: new Map([['hang', { authorize: 'public', handle: never }]]),
      settings: { handlerTimeoutMs: 30 },
    });
    const client = await server.connect('alice');
    expect(await client.error({ type: 'request', event: 'hang' })).toMatchObject({
      code: 'outcome_unknown',
      retryable: false,
    });
  });

  it('a request of an unknown event is bad_request, after the authorization', async () => {
    await start();
    const client = await server.connect('alice');
    const ask = { type: 'request', channel: 'rooms.1', event: 'nothing' };
    expect(await client.error(ask)).toMatchObject({ code: 'not_subscribed' });
    await client.subscribe('rooms.1');
    expect(await client.error(ask)).toMatchObject({ code: 'bad_request' });
    expect(await client.error({ type: 'request', event: 'nothing' })).toMatchObject({ code: 'bad_request' });
  });

  it('history returns 100 events by default and 1000 at most, from either end', async () => {
    await start();
    const client = await server.connect('alice');
    await client.subscribe('rooms.1');
    for (let n = 1; n <= 1_050; n++) await server.engine.application.publish('rooms.1', 'said', n);
    const seqs = async (payload: Record<string, unknown>): Promise<[number, number, number, unknown]> => {
      const page = await client.reply({ type: 'history', channel: 'rooms.1', payload });
      const events = page['events'] as { seq: number }[];
      return [events.length, events[0]?.seq ?? 0, events.at(-1)?.seq ?? 0, page['more']];
    };
    // The log keeps 1000 events, 51 to 1050.
    expect(await seqs({})).toEqual([100, 51, 150, true]);
    expect(await seqs({ limit: 5_000 })).toEqual([1_000, 51, 1_050, false]);
    expect(await seqs({ from: 100, until: 101 })).toEqual([2, 100, 101, false]);
    expect(await seqs({ until: 60, limit: 3, reverse: true })).toEqual([3, 60, 58, true]);
    expect(await seqs({ epoch: 'other' })).toEqual([0, 0, 0, false]);
    expect(await client.error({ type: 'history', channel: 'rooms.2' })).toMatchObject({
      code: 'not_subscribed',
    });
    expect(await client.error({ type: 'history', channel: 'rooms.1', payload: { limit: 0 } })).toMatchObject({
      code: 'bad_request',
    });
  });
});

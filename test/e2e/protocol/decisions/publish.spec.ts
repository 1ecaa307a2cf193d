import { afterEach, describe, expect, it } from '@jest/globals';
import { wireChannel } from '../../../support/wire/channel.js';
import type { WireClient } from '../../../support/wire/client.js';
import { CHANNELS, server, start, stop } from './setting.js';

afterEach(stop);

describe('publish', () => {
  const publish = (client: WireClient, id: string, payload: unknown, more: object = {}) =>
    client.call({ type: 'publish', id, channel: 'rooms.1', event: 'said', payload, ...more });

  it('the same id and content is a duplicate, whatever other fields say; other content is a conflict (P15, P15a)', async () => {
    await start();
    const client = await server.connect('alice');
    const first = await publish(client, 'p1', { a: 1, b: 2 });
    expect(first.payload).toMatchObject({ seq: 1, duplicate: false });
    const again = await publish(client, 'p1', { a: 1, b: 2 }, { key: 'k', ttl: 5, meta: { x: 1 } });
    expect(again.payload).toEqual({ ...first.payload, duplicate: true });
    expect((await publish(client, 'p1', { b: 2, a: 1 })).payload['code']).toBe('conflict');
    const bob = await server.connect('bob');
    expect((await publish(bob, 'p1', 'another producer')).payload).toMatchObject({
      seq: 2,
      duplicate: false,
    });
  });

  it('equal content in both codecs is a duplicate, bytes and dates included (P15a, P15f)', async () => {
    await start();
    const json = await server.connect('alice');
    const packed = await server.connect('alice', { protocols: ['realtime.v1.msgpack'] });
    await publish(json, 'p1', { text: 'é', n: 1 });
    expect((await publish(packed, 'p1', { text: 'é', n: 1 })).payload['duplicate']).toBe(true);
    await json.subscribe('rooms.1');
    await packed.subscribe('rooms.1');
    const at = new Date(1_767_225_600_000);
    await publish(packed, 'p2', { bytes: Uint8Array.of(1, 2), at });
    const text = { bytes: { $bytes: 'AQI=' }, at: at.toISOString() };
    expect((await json.next('event')).payload).toEqual(text);
    const { payload } = await packed.take({ type: 'event' });
    expect([...(payload['bytes'] as Uint8Array)]).toEqual([1, 2]);
    expect(payload['at']).toEqual(at.toISOString());
    expect((await publish(json, 'p2', text)).payload['duplicate']).toBe(true);
  });

  it('an undeclared event and a channel without publishing are refused with the same code (P15b)', async () => {
    await start({ channels: [...CHANNELS, wireChannel('feeds.:feed')] });
    const client = await server.connect('alice');
    const refused = async (channel: string, event: string) => {
      const { message: _names, ...rest } = await client.error({ type: 'publish', channel, event });
      return rest;
    };
    expect(await refused('rooms.1', 'deleted')).toEqual(await refused('feeds.1', 'said'));
  });

  it('a refused publish leaves no trace (P15e)', async () => {
    let refuse = true;
    await start({
      channels: [
        wireChannel('rooms.:room', {
          behaviour: {
            publish: new Map([['said', undefined]]),
            authorize: { publish: () => !refuse },
          },
        }),
      ],
    });
    const client = await server.connect('alice');
    expect((await publish(client, 'p1', 'first')).payload['code']).toBe('forbidden');
    refuse = false;
    expect((await publish(client, 'p1', 'second')).payload).toMatchObject({ seq: 1, duplicate: false });
  });

  it('a pipeline whose first publish is refused fails as a whole, and succeeds in order when it is sent again (P16)', async () => {
    let refuse = true;
    await start({
      channels: [
        wireChannel('rooms.:room', {
          behaviour: {
            publish: new Map([
              [
                'said',
                async ({ payload }) => {
                  if (payload === 1 && refuse) throw new Error('not now');
                  return payload;
                },
              ],
            ]),
          },
        }),
      ],
    });
    const client = await server.connect('alice');
    await client.subscribe('rooms.1');
    const send = (): void =>
      client.sendAll(
        [1, 2, 3].map((n) => ({
          type: 'publish',
          id: `p${n}`,
          channel: 'rooms.1',
          event: 'said',
          payload: n,
          ...(n === 1 ? {} : { after: `p${n - 1}` }),
        })),
      );
    const code = async (id: string): Promise<unknown> => (await client.take({ ref: id })).payload['code'];
    send();
    expect([await code('p1'), await code('p2'), await code('p3')]).toEqual([
      'internal',
      'out_of_order',
      'out_of_order',
    ]);
    refuse = false;
    send();
    for (const n of [1, 2, 3])
      expect(await client.take({ type: 'event' })).toMatchObject({ seq: n, payload: n });
  });

  it('`after` refers to the same producer; a publish without it depends on nothing (P16a, P16b)', async () => {
    await start();
    const [alice, bob] = [await server.connect('alice'), await server.connect('bob')];
    expect((await publish(alice, 'p1', 1)).payload).toMatchObject({ seq: 1 });
    expect((await publish(bob, 'p2', 2, { after: 'p1' })).payload['code']).toBe('out_of_order');
    expect((await publish(bob, 'p2', 2)).payload).toMatchObject({ seq: 2, duplicate: false });
    expect((await publish(alice, 'p3', 3, { after: 'p1' })).payload).toMatchObject({ seq: 3 });
  });

  it('an anonymous client is recognized by its ticket, and is another producer without it (P28f)', async () => {
    await start({ settings: { anonymous: true } });
    const first = await server.connect();
    await publish(first, 'p1', 1);
    first.terminate();
    const again = await server.open();
    await again.hello(undefined, { session: first.welcome?.session });
    expect((await publish(again, 'p1', 1)).payload).toMatchObject({ seq: 1, duplicate: true });
    const other = await server.connect();
    expect((await publish(other, 'p1', 1)).payload).toMatchObject({ seq: 2, duplicate: false });
  });

  it('a failure of the application is answered with an id and nothing else (P6d, G25)', async () => {
    const channel = wireChannel('rooms.:room', {
      behaviour: {
        publish: new Map([
          [
            'said',
            () => {
              throw new Error('password=hunter2');
            },
          ],
        ]),
      },
    });
    await start({ channels: [channel] });
    const client = await server.connect('alice');
    const { payload } = await publish(client, 'p1', 1);
    expect(JSON.stringify(payload)).not.toContain('hunter2');
    const id = /Internal error (\S+)/.exec(String(payload['message']))?.[1];
    expect(id).toBeDefined();
    const logged = server.records.find(
      ({ level, message }) => level === 'error' && message.includes(String(id)),
    );
    expect(logged?.error).toMatchObject({ message: 'password=hunter2' });
  });
});

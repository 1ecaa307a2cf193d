import { afterEach, describe, expect, it } from '@jest/globals';
import { Harness } from './harness.js';

let harness: Harness | undefined;
afterEach(() => harness?.stop());

describe('client.stats()', () => {
  it('counts from nothing, and has no round trip without a connection', async () => {
    const { client } = (harness = await Harness.start());
    const nothing = { reconnects: 0, recovered: 0, lost: 0, received: 0, sent: 0, roundTripMs: undefined };
    expect(client.stats()).toEqual(nothing);
    void client.connect();
    expect(client.stats()).toEqual(nothing);
  });

  it('counts reconnects and what became of the channels, but not what the application asked for', async () => {
    const h = (harness = await Harness.start());
    const first = await h.live();
    const subscribed = ['rooms.1', 'rooms.2', 'rooms.3'].map((name) => h.client.channel(name).subscribe());
    for (let n = 0; n < 3; n++) await first.subscribed();
    await Promise.all(subscribed);
    expect(h.client.stats()).toMatchObject({ reconnects: 0, recovered: 0, lost: 0, received: 4, sent: 4 });
    first.terminate();
    const second = await h.again();
    await second.welcome();
    await second.subscribed({ recovery: 'complete' });
    await second.subscribed({ recovery: 'truncated', from: 1, to: 2, position: { epoch: 'e1', seq: 2 } });
    await second.subscribed({ recovery: 'lost', reason: 'epoch_changed' });
    await second.sync();
    expect(h.client.stats()).toMatchObject({ reconnects: 1, recovered: 1, lost: 2 });
    second.send({
      type: 'reset',
      channel: 'rooms.1',
      payload: { position: { epoch: 'e2', seq: 0 }, recovery: 'lost', reason: 'epoch_changed' },
    });
    await second.sync();
    expect(h.client.stats().lost).toBe(3);
    void h.client.close();
    void h.client.connect();
    await (await h.server.accept()).welcome();
    await h.state('live');
    expect(h.client.stats().reconnects).toBe(1);
  });

  it('counts messages, not frames, also of a hello that goes alone', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live();
    const before = h.client.stats();
    connection.send({ type: 'ping', id: 'a' }, { type: 'ping', id: 'b' });
    await connection.expectCommand('pong');
    await connection.expectCommand('pong');
    const { received, sent } = h.client.stats();
    expect([received - before.received, sent - before.sent]).toEqual([2, 2]);
    // A frame of `hello` and commands that breaks the connection is followed by `hello` alone.
    connection.terminate();
    await h.state('waiting');
    const room = h.client.channel('rooms.1');
    void room.subscribe().catch(() => undefined);
    const refused = await h.again();
    await refused.expectCommand('hello');
    await refused.expectCommand('subscribe');
    refused.terminate();
    const alone = await h.again();
    await alone.expectCommand('hello');
    expect(h.client.stats().sent).toBe(sent + 3);
  });

  it('has the round trip of `hello` first, then of the last ping', async () => {
    const h = (harness = await Harness.start());
    void h.client.connect();
    const connection = await h.server.accept();
    const hello = await connection.expectCommand('hello');
    h.clock.advance(120);
    connection.send({ type: 'welcome', ref: hello.id, payload: {} });
    await h.state('live');
    expect(h.client.stats().roundTripMs).toBe(120);
    h.clock.sleep(60_000);
    h.clock.advance(0);
    const ping = await connection.expectCommand('ping');
    h.clock.advance(35);
    connection.send({ type: 'pong', ref: ping.id });
    await connection.sync();
    expect(h.client.stats().roundTripMs).toBe(35);
    void h.client.close();
    expect(h.client.stats().roundTripMs).toBeUndefined();
  });
});

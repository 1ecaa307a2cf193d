import { expect, it } from '@jest/globals';
import type { SessionClient } from '../../wire/session-client.js';
import { hello, payloads, say, settled, type Stage } from './stage.js';

/** Every command of a client, and what the application does with it. */
export function describeCommands(stage: Stage): void {
  const { transport, unique, publish } = stage;
  const connect = (token?: string): Promise<SessionClient> => stage.visit.connect(transport, token);

  it('is welcomed with a ticket, its user, the heartbeat and the limits (P3, P28)', async () => {
    const client = await connect('ada');
    expect(client.welcome).toMatchObject({
      version: 1,
      user: 'ada',
      session: expect.stringMatching(/./),
      heartbeat: { intervalMs: expect.any(Number), timeoutMs: expect.any(Number) },
      limits: { maxChannels: 128, dedupeMs: 300_000 },
    });
    const other = await connect('ada');
    expect(other.welcome?.session).not.toBe(client.welcome?.session);
    expect(stage.visit.server.engine.status.sessions).toBeGreaterThanOrEqual(2);
  });

  it('runs commands that came with hello, in their order and behind the welcome (P3)', async () => {
    const room = unique('rooms.early');
    const client = await stage.visit.open(transport);
    client.sendAll([
      hello({ token: 'ada' }),
      { type: 'subscribe', id: 's1', channel: room, payload: { presence: false } },
      say(room, 'm1'),
    ]);
    await client.next('welcome');
    expect(await client.take({ ref: 's1' })).toMatchObject({ type: 'reply' });
    expect((await client.take({ ref: 'm1' })).payload).toMatchObject({ seq: 1, duplicate: false });
    await publish(room, 'later');
    expect((await client.take({ seq: 2 })).payload).toBe('later');
  });

  it('asks the application for each subscribe: who may not gets nothing of the channel (G9, G10)', async () => {
    const channel = unique('closed.a');
    const [alice, bob] = [await connect('alice'), await connect('bob')];
    await alice.subscribe(channel);
    expect(await bob.error({ type: 'subscribe', channel })).toMatchObject({
      code: 'forbidden',
      retryable: false,
    });
    await publish(channel, 'secret');
    expect(await payloads(alice, 1)).toEqual(['secret']);
    expect(await settled(bob)).toEqual([]);
    expect((await bob.error({ type: 'history', channel })).code).toBe('not_subscribed');
    expect((await bob.error({ type: 'subscribe', channel: 'nowhere.1' })).code).toBe('unknown_channel');
    expect((await bob.error({ type: 'subscribe', channel: 'rooms..1' })).code).toBe('bad_request');
  });

  it('knows its user by the credential of the request, too (P2, G22)', async () => {
    const options = { headers: { Authorization: 'Bearer alice' } };
    const client = await stage.visit.connect(transport, undefined, {}, options);
    expect(client.welcome?.user).toBe('alice');
    await client.subscribe(unique('closed.bearer'));
  });

  it('publishes: the answer comes once the event is in the log, and every subscriber gets it (P15, G1)', async () => {
    const room = unique('rooms.publish');
    const [ada, bob] = [await connect('ada'), await connect('bob')];
    for (const client of [ada, bob]) await client.subscribe(room, { presence: false });
    expect(await ada.reply(say(room, 'm1', { text: 'Hi' }))).toMatchObject({ seq: 1, duplicate: false });
    for (const client of [ada, bob])
      expect(await client.take({ type: 'event' })).toMatchObject({
        channel: room,
        event: 'said',
        seq: 1,
        id: 'm1',
        user: 'ada',
        payload: { text: 'Hi' },
      });
    expect(await ada.reply(say(room, 'm1', { text: 'Hi' }))).toMatchObject({ seq: 1, duplicate: true });
    expect(await bob.error(say(room, 'm1', 1)).catch(() => 'a publish of its own')).toBe(
      'a publish of its own',
    );
    expect((await ada.error(say(room, 'm1', { text: 'Ho' }))).code).toBe('conflict');
    expect((await ada.error({ ...say(room, 'm3'), event: 'unsaid' })).code).toBe('forbidden');
  });

  it('keeps the order of what it publishes, over many frames and in one (P16)', async () => {
    const room = unique('rooms.order');
    const client = await connect('ada');
    await client.subscribe(room, { presence: false });
    const ids = Array.from({ length: 40 }, (_, index) => `m${index}`);
    for (const id of ids.slice(0, 20)) client.send(say(room, id));
    client.sendAll(ids.slice(20).map((id) => say(room, id)));
    const seqs: unknown[] = [];
    for (const id of ids) seqs.push((await client.take({ ref: id })).payload['seq']);
    expect(seqs).toEqual(ids.map((_, index) => index + 1));
    expect(await payloads(client, 40)).toEqual(ids);
  });

  it('carries every text and bytes unchanged, both ways (P29)', async () => {
    const client = await connect('ada');
    for (const value of [
      { text: 'a\nb\r\n\u2028\u2029\u0000"\\', nested: ['data: x\n\nevent: y', ']},{"type":"ping"'] },
      { $bytes: 'AAEC/w==' },
      { $$bytes: 'AAEC' },
      ['é', '漢字', '😀', '\ufeff', ''],
      -0.5e-7,
      '[{}],',
      null,
    ])
      expect(await client.reply({ type: 'request', event: 'echo', payload: value })).toEqual(value);
  });

  it('asks the application, and is answered once: with a value, with nothing, with an error (P7)', async () => {
    const client = await connect('ada');
    expect(await client.reply({ type: 'request', event: 'echo', payload: { n: 1 } })).toEqual({ n: 1 });
    expect(await client.reply({ type: 'request', event: 'nothing' })).toBeNull();
    expect(await client.error({ type: 'request', event: 'full' })).toMatchObject({
      code: 'refused',
      reason: 'full',
      retryable: false,
    });
    const room = unique('rooms.ask');
    const ask = { type: 'request', channel: room, event: 'echo', payload: 2 };
    expect((await client.error(ask)).code).toBe('not_subscribed');
    await client.subscribe(room);
    expect(await client.reply(ask)).toBe(2);
    expect((await client.error({ type: 'shout' })).code).toBe('bad_request');
  });

  it('answers a hundred requests, each once, while events come in order (P7, P24)', async () => {
    const room = unique('rooms.busy');
    const client = await connect('ada');
    await client.subscribe(room, { presence: false });
    const numbers = Array.from({ length: 100 }, (_, index) => index);
    const answers = numbers.map((n) => client.reply({ type: 'request', event: 'echo', payload: n }));
    await publish(room, ...numbers);
    expect(await Promise.all(answers)).toEqual(numbers);
    expect(await payloads(client, 100)).toEqual(numbers);
    expect(await settled(client)).toEqual([]);
  });

  it('signals to every subscriber, itself included, and to nobody who left', async () => {
    const room = unique('rooms.signal');
    const [ada, bob, eve] = [await connect('ada'), await connect('bob'), await connect('eve')];
    for (const client of [ada, bob, eve]) await client.subscribe(room, { presence: false });
    await eve.reply({ type: 'unsubscribe', channel: room });
    expect(
      await ada.reply({ type: 'signal', channel: room, event: 'typing', payload: { on: true } }),
    ).toEqual({});
    for (const client of [ada, bob])
      expect(await client.take({ type: 'signal' })).toMatchObject({
        channel: room,
        event: 'typing',
        user: 'ada',
        payload: { on: true },
      });
    expect(await settled(eve)).toEqual([]);
  });

  it('is a member with its data, which others see come, change and leave (G19)', async () => {
    const room = unique('rooms.members');
    const ada = await connect('ada');
    const { presence } = (await ada.subscribe(room)) as { presence: { members: unknown[] } };
    expect(presence.members).toEqual([{ id: 'ada', devices: 1 }]);
    const bob = await connect('bob');
    await bob.subscribe(room, { presence: { data: { mood: 'calm' } } });
    const come = { id: 'bob', devices: 1, data: { mood: 'calm' } };
    expect((await ada.next('presence')).payload).toMatchObject({ join: [come], update: [], leave: [] });
    await bob.reply({ type: 'presence_update', channel: room, payload: { data: 2 } });
    expect((await ada.next('presence')).payload).toMatchObject({
      update: [{ id: 'bob', devices: 1, data: 2 }],
    });
    expect(await ada.reply({ type: 'presence', channel: room })).toMatchObject({ count: 2 });
    bob.send({ type: 'bye', id: 'z' });
    expect((await ada.next('presence')).payload).toMatchObject({ leave: ['bob'], count: 1 });
    await bob.expectClose(1000);
  });

  it('reads the log in both directions, page by page (P14)', async () => {
    const room = unique('rooms.history');
    const client = await connect('ada');
    await publish(room, 1, 2, 3, 4, 5);
    await client.subscribe(room, { presence: false });
    const page = async (payload: object) => {
      const { events, more } = (await client.reply({ type: 'history', channel: room, payload })) as {
        events: { seq: number }[];
        more: boolean;
      };
      return [events.map(({ seq }) => seq), more];
    };
    expect(await page({ limit: 2 })).toEqual([[1, 2], true]);
    expect(await page({ from: 3 })).toEqual([[3, 4, 5], false]);
    expect(await page({ reverse: true, limit: 2 })).toEqual([[5, 4], true]);
    expect(await page({ reverse: true, until: 3 })).toEqual([[3, 2, 1], false]);
  });

  it('is given the state of a channel when it begins, and when it asks (P26)', async () => {
    const channel = unique('state.a');
    const client = await connect('ada');
    await publish(channel, 1);
    expect(await client.subscribe(channel)).toMatchObject({
      recovery: 'new',
      position: { seq: 1 },
      snapshot: { title: 'Tea' },
    });
    expect(await client.reply({ type: 'snapshot', channel })).toMatchObject({ snapshot: { title: 'Tea' } });
    const other = await connect('bob');
    expect(await other.subscribe(channel, { snapshot: false })).not.toHaveProperty('snapshot');
  });

  it('leaves a channel: nothing of it follows the answer, and it may come back (P24a)', async () => {
    const room = unique('rooms.leave');
    const client = await connect('ada');
    await client.subscribe(room);
    expect((await client.error({ type: 'subscribe', channel: room })).code).toBe('already_subscribed');
    expect(await client.reply({ type: 'unsubscribe', channel: room })).toEqual({});
    // Until the client's node has it, a subscribe there may be answered with the position before it.
    const witness = await connect('bob');
    await witness.subscribe(room);
    await publish(room, 'unseen');
    expect(await payloads(witness, 1)).toEqual(['unseen']);
    expect(await settled(client)).toEqual([]);
    expect(await client.reply({ type: 'unsubscribe', channel: room })).toEqual({});
    expect(await client.subscribe(room)).toMatchObject({ recovery: 'new', position: { seq: 1 } });
    await publish(room, 'seen');
    expect(await payloads(client, 1)).toEqual(['seen']);
  });

  it('gets a sign of life when it asks for one (P9)', async () => {
    const client = await connect('ada');
    expect(await client.call({ type: 'ping', id: 'p1' })).toMatchObject({ type: 'pong', ref: 'p1' });
  });
}

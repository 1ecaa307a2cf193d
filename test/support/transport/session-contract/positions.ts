import { expect, it } from '@jest/globals';
import type { SessionClient } from '../../wire/session-client.js';
import { payloads, settled, type Stage } from './stage.js';

/** Where a client stands: resume, and what cannot be resumed. */
export function describePositions(stage: Stage): void {
  const { transport, unique, publish } = stage;
  const connect = (token: string, ticket?: string): Promise<SessionClient> =>
    stage.visit.connect(transport, token, ticket === undefined ? {} : { session: ticket });

  it('resumes after a cut, again and again: everything missed, once and in order, then resumed, then live (P12, P13, G7)', async () => {
    const room = unique('rooms.resume');
    const user = unique('ada');
    let client = await connect(user);
    let { position } = (await client.subscribe(room)) as { position: { epoch: string; seq: number } };
    let said = 0;
    for (let cut = 0; cut < 3; cut++) {
      client.terminate();
      const missed = Array.from({ length: cut * 2 + 1 }, () => ++said);
      await publish(room, ...missed);
      client = await connect(user, client.welcome?.session);
      const answer = await client.subscribe(room, { position });
      expect(answer).toMatchObject({ recovery: 'complete', position: { seq: said } });
      expect(await payloads(client, missed.length)).toEqual(missed);
      expect(await client.next('resumed')).toMatchObject({ channel: room, seq: said });
      await publish(room, ++said);
      expect(await payloads(client, 1)).toEqual([said]);
      position = { epoch: position.epoch, seq: said };
    }
  });

  it('resumes where nothing was missed with resumed at once (P12)', async () => {
    const room = unique('rooms.nothing');
    const client = await connect('ada');
    await publish(room, 1);
    const { position } = await client.subscribe(room);
    await client.reply({ type: 'unsubscribe', channel: room });
    expect(await client.subscribe(room, { position })).toMatchObject({ recovery: 'complete' });
    expect(await client.next('resumed')).toMatchObject({ seq: 1 });
  });

  it('learns what the log no longer has, and gets the rest (P11, G3)', async () => {
    const channel = unique('short.a');
    const client = await connect('ada');
    await publish(channel, 1);
    const { position } = await client.subscribe(channel);
    await client.reply({ type: 'unsubscribe', channel });
    await publish(channel, 2, 3, 4, 5, 6);
    expect(await client.subscribe(channel, { position })).toMatchObject({
      recovery: 'truncated',
      from: 4,
      to: 6,
      cause: 'trimmed',
    });
    expect(await payloads(client, 3)).toEqual([4, 5, 6]);
    await client.next('resumed');
  });

  it('learns that a position cannot be continued, and is given the state instead (P11)', async () => {
    const channel = unique('state.lost');
    const client = await connect('ada');
    await publish(channel, 1, 2);
    expect(await client.subscribe(channel, { position: { epoch: 'another', seq: 1 } })).toMatchObject({
      recovery: 'lost',
      reason: 'epoch_changed',
      position: { seq: 2 },
      snapshot: { title: 'Tea' },
    });
    await publish(channel, 3);
    expect(await payloads(client, 1)).toEqual([3]);
  });

  it('replays nine hundred events in order, with live ones behind them (P12)', async () => {
    const room = unique('rooms.long');
    const client = await connect('ada');
    const { position } = await client.subscribe(room, { presence: false });
    await client.reply({ type: 'unsubscribe', channel: room });
    const numbers = Array.from({ length: 900 }, (_, index) => index + 1);
    const { application } = stage.visit.server.engine;
    // In flights: a round trip each would take most of the test.
    for (let from = 0; from < numbers.length; from += 100)
      await Promise.all(
        numbers.slice(from, from + 100).map((number) => application.publish(room, 'said', number)),
      );
    const subscribed = client.subscribe(room, { position, presence: false });
    await publish(room, 'live');
    expect(await subscribed).toMatchObject({ recovery: 'complete' });
    const events = async (): Promise<unknown[]> => {
      const got: unknown[] = [];
      while (got.length < 901) {
        const envelope = await client.next();
        if (envelope.type === 'event') got.push(envelope.seq);
      }
      return got;
    };
    expect(await events()).toEqual([...numbers, 901]);
    expect((await settled(client)).filter(({ type }) => type !== 'resumed')).toEqual([]);
  });

  it('learns in its place when the log under it changed, before the first event of the new one (P10)', async () => {
    const extra = await stage.start({});
    const client = await extra.connect(transport, 'ada');
    const { application } = extra.server.engine;
    await application.publish('state.reset', 'said', 1);
    const { position } = (await client.subscribe('state.reset')) as { position: { epoch: string } };
    await extra.site.forget('state.reset');
    await application.publish('state.reset', 'said', 2);
    const { payload } = await client.next('reset');
    expect(payload).toMatchObject({ recovery: 'lost', snapshot: { title: 'Tea' } });
    expect((payload['position'] as { epoch: string }).epoch).not.toBe(position.epoch);
    await application.publish('state.reset', 'said', 3);
    const rest = await client.take({ type: 'event' });
    expect(rest.epoch).not.toBe(position.epoch);
  });
}

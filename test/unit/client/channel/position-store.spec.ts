import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ChannelHandle } from '../../../../lib/client/channel/handle.js';
import type { ChannelPersist } from '../../../../lib/client/channel/types.js';
import { watchUncaught } from '../../../support/real-process.js';
import { eventMessage, until, type ScriptedConnection } from '../../../support/wire/scripted-server.js';
import { settle } from '../../../support/engine/manual-clock.js';
import { codeOf, Harness } from '../harness.js';

let h: Harness;
let connection: ScriptedConnection;
let room: ChannelHandle;
let uncaught: ReturnType<typeof watchUncaught>;
let warnings: string[];

beforeEach(async () => {
  uncaught = watchUncaught();
  warnings = [];
  h = await Harness.start({
    log: (level, message) => void (level === 'warn' && message.includes('persist') && warnings.push(message)),
  });
  connection = await h.live();
  room = h.client.channel('rooms.1');
});

afterEach(async () => {
  await h.stop();
  expect(await uncaught.settled()).toEqual([]);
});

const event = (seq: number) => eventMessage('rooms.1', seq);
const at = (seq: number, epoch = 'e1') => ({ position: { epoch, seq } });

describe('a store that answers later, as AsyncStorage of React Native', () => {
  type Stored = Awaited<ReturnType<ChannelPersist['load']>>;

  /** A store whose answers the test gives. */
  function laterStore() {
    const loads: { resolve: (position: unknown) => void; reject: (error: Error) => void }[] = [];
    const saves: { seq: number; done: (error?: Error) => void }[] = [];
    const persist: ChannelPersist = {
      load: () =>
        new Promise<Stored>((resolve, reject) =>
          loads.push({ resolve: resolve as (position: unknown) => void, reject }),
        ),
      save: ({ seq }) =>
        new Promise<void>((resolve, reject) =>
          saves.push({ seq, done: (error) => (error === undefined ? resolve() : reject(error)) }),
        ),
    };
    return { persist, loads, saves };
  }

  it('nothing is sent before its answer, and the first subscribe continues from it (P13)', async () => {
    const { persist, loads } = laterStore();
    const answers = Promise.all([room.subscribe({ persist }), room.subscribe()]);
    expect([room.state, await connection.unreadTypes()]).toEqual(['waiting', []]);
    loads[0]?.resolve(at(3).position);
    const command = await connection.expectCommand('subscribe');
    expect(command['payload']).toEqual(at(3));
    connection.reply(command, { ...at(4), recovery: 'complete' });
    connection.reply(await connection.expectCommand('snapshot'), at(4));
    expect((await answers).map(({ recovery }) => recovery)).toEqual(['complete', 'new']);
    expect(loads).toHaveLength(1);
  });

  it('is waited for by the next connection too', async () => {
    const { persist, loads } = laterStore();
    const answer = room.subscribe({ persist });
    connection.terminate();
    connection = await h.back();
    expect(await connection.unreadTypes()).toEqual([]);
    loads[0]?.resolve(null);
    expect((await connection.subscribed())['payload']).toEqual({});
    await answer;
  });

  it('counts for nothing when nobody wants the channel any more, or somebody wants it again', async () => {
    const { persist, loads } = laterStore();
    const { signal, abort } = controller();
    void room.subscribe({ persist, signal });
    abort();
    await connection.sync();
    expect(room.state).toBe('unsubscribed');
    loads[0]?.resolve(at(3).position);
    expect([await connection.unreadTypes(), room.position]).toEqual([[], undefined]);
    void room.subscribe({ persist }).catch(() => undefined);
    void room.unsubscribe();
    const answer = room.subscribe({ persist });
    loads[1]?.reject(new Error('of the one before'));
    loads[2]?.resolve(at(7).position);
    expect((await connection.subscribed({ recovery: 'complete' }))['payload']).toEqual(at(7));
    await answer;
  });

  it('that fails, or gives what is no position, refuses the subscribe; the next one asks again', async () => {
    const { persist, loads } = laterStore();
    const failed = room.subscribe({ persist });
    loads[0]?.reject(new Error('no store'));
    await expect(failed).rejects.toThrow('no store');
    const wrong = room.subscribe({ persist });
    loads[1]?.resolve('e1/4');
    expect(await codeOf(wrong)).toBe('bad_request');
    expect([await connection.unreadTypes(), room.state]).toEqual([[], 'unsubscribed']);
    const answer = room.subscribe({ persist });
    loads[2]?.resolve(undefined);
    await connection.subscribed();
    await answer;
  });

  it('is given one position after the other, the newest at last; what it fails to save is reported', async () => {
    const { persist, loads, saves } = laterStore();
    const answer = room.subscribe({ persist });
    loads[0]?.resolve(at(3).position);
    await connection.subscribed({ ...at(3), recovery: 'complete' });
    await answer;
    for (const seq of [4, 5, 6]) {
      connection.send(event(seq));
      await connection.sync();
    }
    expect(saves.map(({ seq }) => seq)).toEqual([3]);
    saves[0]?.done(new Error('full'));
    await connection.sync();
    expect(saves.map(({ seq }) => seq)).toEqual([3, 6]);
    expect(h.errors).toMatchObject([{ error: { message: 'full' }, context: { source: 'handler' } }]);
    saves[1]?.done();
    await connection.sync();
    expect(saves).toHaveLength(2);
    connection.send(event(7));
    await connection.sync();
    expect(saves.at(-1)?.seq).toBe(7);
  });

  /** A subscription at 3, whose save of that is not answered. */
  async function savingAt3() {
    const store = laterStore();
    const answer = room.subscribe({ persist: store.persist });
    store.loads[0]?.resolve(at(3).position);
    await connection.subscribed({ ...at(3), recovery: 'complete' });
    await answer;
    await connection.sync();
    const seqs = (): number[] => store.saves.map(({ seq }) => seq);
    expect(seqs()).toEqual([3]);
    return { ...store, seqs };
  }

  it('is waited for ten seconds with a position; that is logged, and the newest one is saved', async () => {
    const { saves, seqs } = await savingAt3();
    connection.send(event(4), event(5));
    await connection.sync();
    h.clock.advance(9_999);
    await connection.sync();
    expect(seqs()).toEqual([3]);
    h.clock.advance(1);
    await connection.sync();
    expect(seqs()).toEqual([3, 5]);
    expect(warnings).toEqual([
      expect.stringContaining('rooms.1: persist.save() gave a promise that is not settled after 10 s'),
    ]);
    // The second time, and one that fails after all.
    connection.send(event(6));
    await connection.sync();
    h.clock.advance(10_000);
    await connection.sync();
    expect(seqs()).toEqual([3, 5, 6]);
    saves[0]?.done(new Error('full'));
    saves[1]?.done();
    saves[2]?.done();
    await connection.sync();
    expect(h.errors).toMatchObject([{ error: { message: 'full' } }]);
    connection.send(event(7));
    await connection.sync();
    expect(seqs()).toEqual([3, 5, 6, 7]);
  });

  it.each(['unsubscribe', 'forbidden'])(
    'is given the last position at the end of the subscription (%s)',
    async (how) => {
      const { saves, seqs } = await savingAt3();
      connection.send(event(4));
      await connection.sync();
      if (how === 'unsubscribe') void room.unsubscribe();
      else
        connection.send({
          type: 'unsubscribed',
          channel: 'rooms.1',
          payload: { code: 'forbidden', message: '', retryable: false },
        });
      await connection.sync();
      expect([room.state, seqs()]).toEqual(['unsubscribed', [3]]);
      saves[0]?.done();
      await connection.sync();
      expect(seqs()).toEqual([3, 4]);
    },
  );

  it('is given it where the client is closed in the turn of the last event, and no position twice', async () => {
    const { saves, seqs } = await savingAt3();
    saves[0]?.done();
    room.on('said', () => void h.client.close());
    connection.send(event(4));
    await until(() => seqs().length === 2, 'the last position');
    saves[1]?.done();
    await settle();
    expect(seqs()).toEqual([3, 4]);
  });

  it('is given the last position of a subscription before the first one of the next', async () => {
    const { persist, loads, saves, seqs } = await savingAt3();
    connection.send(event(4));
    await connection.sync();
    void room.unsubscribe();
    await connection.expectCommand('unsubscribe');
    const again = room.subscribe({ persist });
    loads[1]?.resolve(at(3).position);
    await connection.subscribed({ ...at(9), recovery: 'new' });
    await again;
    saves[0]?.done();
    await connection.sync();
    expect(seqs()).toEqual([3, 4]);
    saves[1]?.done();
    await connection.sync();
    expect(seqs()).toEqual([3, 4, 9]);
  });

  it('waits for nobody after the end: a promise that never settles leaves one timer for ten seconds', async () => {
    await savingAt3();
    connection.send(event(4));
    await connection.sync();
    void room.unsubscribe();
    void room.subscribe().catch(() => undefined);
    void room.unsubscribe();
    await connection.sync();
    h.clock.advance(10_000);
    await connection.sync();
    expect(warnings).toHaveLength(1);
  });
});

function controller(): { signal: AbortSignal; abort: () => void } {
  const made = new AbortController();
  return { signal: made.signal, abort: () => made.abort(new Error('no longer wanted')) };
}

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore, type MemoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { EraseReceipt } from '../../../../lib/core/engine/erasure.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

const ROOM = 'rooms.1';
let clock: ManualClock;
let brokers: MemoryBroker[];
let left: EngineHarness;
let right: EngineHarness;

beforeEach(async () => {
  clock = new ManualClock();
  const store = new MemoryStore({ clock });
  brokers = [
    memoryBroker({ store, controlTimeoutMs: 1_000 }),
    memoryBroker({ store, controlTimeoutMs: 1_000 }),
  ];
  const start = (index: number): Promise<EngineHarness> =>
    EngineHarness.start([channel('rooms.:room')], {
      clock,
      seed: index + 1,
      broker: brokers[index] as MemoryBroker,
      settings: { nodeId: `node-${index}`, heartbeat: { intervalMs: 1e9 } },
    });
  left = await start(0);
  right = await start(1);
});
afterEach(() => Promise.all([left.stop(), right.stop()]));

async function publish(...texts: readonly string[]): Promise<void> {
  for (const text of texts)
    await left.engine.application.publish(ROOM, 'said', text, { user: text.split(' ')[0] ?? '' });
  await quiet();
}

async function erase(
  what: Parameters<EngineHarness['engine']['erase']>[1],
  on = left,
): Promise<EraseReceipt> {
  const erased = on.engine.erase(ROOM, what);
  erased.catch(() => undefined);
  await quiet();
  await quiet();
  return await erased;
}

const events = (client: FakeConnection) =>
  client.take('event').map(({ seq, event, payload }) => ({ seq, event, payload }));
const left1 = (seq: number) => ({ seq, event: '$erased', payload: { seqs: [seq] } });
const said = (seq: number, payload: string) => ({ seq, event: 'said', payload });
const history = async (on: EngineHarness) =>
  (await on.engine.application.history(ROOM)).events.map(({ seq, event, payload }) => ({
    seq,
    event,
    payload,
  }));

describe('erasing events', () => {
  it('leaves their places in the history of every node, and sends subscribers the notice in order (P31a, P31b, G29)', async () => {
    const clients = [await left.subscriber(ROOM), await right.subscriber(ROOM)];
    await publish('a 1', 'b 2', 'a 3');
    for (const client of clients) client.take();
    const receipt = await erase({ seqs: [3, 1, 3] });
    expect(receipt).toEqual({
      confirmed: expect.arrayContaining(['node-0', 'node-1']),
      missing: [],
      erased: [1, 3],
    });
    await publish('b 5');
    const notice = { seq: 4, event: '$erased', payload: { seqs: [1, 3] } };
    for (const client of clients) expect(events(client)).toEqual([notice, said(5, 'b 5')]);
    for (const on of [left, right]) {
      expect(await history(on)).toEqual([left1(1), said(2, 'b 2'), left1(3), notice, said(5, 'b 5')]);
    }
  });

  it('replays the places to a client that resumes, from a ring and from the log (P31a, G29)', async () => {
    const watcher = await right.subscriber(ROOM);
    await publish('a 1', 'b 2', 'a 3');
    const { position } = await left.engine.application.history(ROOM);
    watcher.take();
    await erase({ seq: 2 });
    for (const on of [left, right]) {
      const client = await on.greet();
      client.take();
      client.send({
        type: 'subscribe',
        id: 's',
        channel: ROOM,
        payload: { position: { ...position, seq: 0 } },
      });
      await quiet();
      expect(events(client)).toEqual([
        said(1, 'a 1'),
        left1(2),
        said(3, 'a 3'),
        { ...left1(4), payload: { seqs: [2] } },
      ]);
    }
  });

  it('erases what waits in the queue of a slow client, whichever node has it (G29, P10)', async () => {
    const slow = await right.subscriber(ROOM);
    slow.stall();
    // The socket has the first.
    await publish('a 1');
    await publish('secret 2');
    await publish('a 3');
    await erase({ seq: 2 });
    slow.drain();
    await quiet();
    expect(events(slow)).toEqual([
      said(1, 'a 1'),
      left1(2),
      said(3, 'a 3'),
      { ...left1(4), payload: { seqs: [2] } },
    ]);
  });

  it('takes back an answer of history that waits for a slow client, and lets it ask again (P31d)', async () => {
    await publish('secret 1');
    const [first, second] = [await right.subscriber(ROOM), await right.subscriber(ROOM)];
    for (const client of [first, second]) {
      client.take();
      client.stall();
      await right.publish(ROOM);
      client.send({ type: 'history', id: 'h0', channel: ROOM, payload: {} });
      await quiet();
      client.send({ type: 'history', id: 'h1', channel: ROOM, payload: {} });
      await quiet();
    }
    await erase({ seq: 1 });
    for (const client of [first, second]) {
      const writtenBefore = client.frames.length;
      client.drain();
      await quiet();
      const later = client.frames.slice(writtenBefore).map(String).join('');
      expect(later).not.toContain('secret');
      expect(later).toContain('unavailable');
    }
  });

  it('cleanses a read that began before and is answered after (G29)', async () => {
    await publish('a 1', 'secret 2');
    const { position } = await left.engine.application.history(ROOM);
    const log = brokers[1]?.log as { read: MemoryBroker['log']['read'] };
    const read = log.read.bind(log);
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    log.read = async (request) => {
      const page = await read(request);
      // Not the one that proves the position of the client.
      if (request.limit > 1) await gate;
      return page;
    };
    const client = await right.greet();
    client.take();
    client.send({
      type: 'subscribe',
      id: 's',
      channel: ROOM,
      payload: { position: { ...position, seq: 0 } },
    });
    const asked = right.engine.application.history(ROOM);
    await quiet();
    await erase({ seq: 2 });
    open();
    await quiet();
    await quiet();
    expect((await asked).events.map(({ event }) => event)).toEqual(['said', '$erased']);
    expect(client.frames.map(String).join('')).not.toContain('secret');
    expect(events(client).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  it('erases what the log has of a user, and of nobody else (G29)', async () => {
    await publish('a 1', 'b 2', 'a 3', 'ab 4');
    expect((await erase({ user: 'a' })).erased).toEqual([1, 3]);
    expect(await history(right)).toMatchObject([
      left1(1),
      said(2, 'b 2'),
      left1(3),
      said(4, 'ab 4'),
      { seq: 5 },
    ]);
    expect(await erase({ user: 'a' })).toEqual({ confirmed: [], missing: [], erased: [] });
  });

  it('can be repeated, and announces it once (G29)', async () => {
    await publish('a 1');
    await erase({ seq: 1 });
    expect(await erase({ seq: 1 }, right)).toMatchObject({ erased: [1], missing: [] });
    expect(await history(left)).toEqual([left1(1), { seq: 2, event: '$erased', payload: { seqs: [1] } }]);
  });

  it('notifies observers once of each outcome: done, nothing found, and a step that failed (G26, G29)', async () => {
    const acts: unknown[] = [];
    const store = new MemoryStore({ clock });
    const broker = memoryBroker({ store });
    const alone = await EngineHarness.start([channel('rooms.:room')], {
      clock,
      broker,
      observers: [{ onAct: (act, receipt, error, ms) => void acts.push([act, receipt?.missing, error, ms]) }],
    });
    try {
      await alone.engine.application.publish(ROOM, 'said', 'a', { user: 'a' });
      const why = { by: 'mod', reason: 'spam' };
      const record = { kind: 'erase', channel: ROOM, epoch: expect.any(String), ...why };
      await alone.engine.erase(ROOM, { user: 'nobody' }, why);
      await alone.engine.erase(ROOM, { user: 'a' }, why);
      const { log } = broker;
      const failure = new RealtimeError('unavailable', 'away');
      log.erase = () => Promise.reject(failure);
      await expect(alone.engine.erase(ROOM, { seq: 1 }, why)).rejects.toMatchObject({ code: 'unavailable' });
      expect(acts).toEqual([
        [{ ...record, seqs: [] }, [], undefined, 0],
        [{ ...record, seqs: [1] }, [], undefined, 0],
        [{ ...record, seqs: [1] }, undefined, failure, 0],
      ]);
    } finally {
      await alone.stop();
    }
  });

  it('names the places that are to be erased again where a step failed, also of a user (G29)', async () => {
    await publish('a 1', 'a 2');
    const bus = brokers[0]?.bus as { control: MemoryBroker['bus']['control'] };
    const control = bus.control.bind(bus);
    bus.control = () => Promise.reject(new RealtimeError('unavailable', 'away'));
    const failed = await erase({ user: 'a' }).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'unavailable', details: [{ path: 'seqs', message: '[1,2]' }] });
    expect(String(failed)).toContain('{ seqs: [1,2] }');
    bus.control = control;
    expect(await erase({ seqs: [1, 2] })).toMatchObject({ erased: [1, 2], missing: [] });
    expect(await history(right)).toHaveLength(3);
  });

  it('refuses places that the log never had, and channels that are none, before anything is erased (G29)', async () => {
    await publish('a 1');
    for (const seqs of [[1, 2], [0], [1.5], [-1]])
      await expect(erase({ seqs })).rejects.toMatchObject({ code: 'bad_request' });
    await expect(left.engine.erase('nowhere', { seq: 1 })).rejects.toMatchObject({ code: 'unknown_channel' });
    expect(await history(left)).toEqual([said(1, 'a 1')]);
  });

  it('keeps names that begin with "$" from the application and from clients (P31c)', async () => {
    const { application } = left.engine;
    await expect(application.publish(ROOM, '$erased', { seqs: [1] })).rejects.toMatchObject({
      code: 'bad_request',
    });
    await expect(application.signal(ROOM, '$x', 1)).rejects.toMatchObject({ code: 'bad_request' });
    const client = await left.subscriber(ROOM);
    client.send({ type: 'publish', id: 'p', channel: ROOM, event: '$erased', payload: { seqs: [1] } });
    await quiet();
    expect(client.take('error')).toMatchObject([{ payload: { code: 'forbidden' } }]);
  });

  it('never delivers what was erased after the receipt, whatever happens between (G29, P10)', async () => {
    for (let seed = 1; seed <= 12; seed++) await model(seed);
  });
});

/** Random publishes, erasures, stalls and resumes on two nodes; every byte that leaves is looked at. */
async function model(seed: number): Promise<void> {
  const room = `rooms.m${seed}`;
  const random = new SeededEntropy(seed);
  const below = (count: number): number => Math.floor(random.random() * count);
  const erased = new Set<number>();
  let published = 0;
  const clients: { connection: FakeConnection; looked: number; stalled: boolean }[] = [];
  const check = (): void => {
    for (const client of clients) {
      const texts = client.connection.frames.slice(client.looked).map(String);
      client.looked = client.connection.frames.length;
      for (const seq of erased) for (const text of texts) expect(text).not.toContain(`<${seq}>`);
    }
  };
  for (let step = 0; step < 60; step++) {
    const on = below(2) === 0 ? left : right;
    const kind = below(6);
    if (kind <= 1) {
      const { seq } = await on.engine.application.publish(room, 'said', `<${published + 1}>`);
      published = seq;
    } else if (kind === 2 && published > 0) {
      const seq = 1 + below(published);
      const { events: kept } = await on.engine.application.history(room, { from: seq, until: seq });
      const wasNotice = kept[0]?.event === '$erased';
      const done = on.engine.erase(room, { seq });
      await quiet();
      await quiet();
      // What was written before the receipt is not taken back.
      for (const client of clients) client.looked = client.connection.frames.length;
      await done;
      if (!wasNotice) erased.add(seq);
      published = (await on.engine.application.history(room)).position.seq;
    } else if (kind === 3) {
      const connection = await on.greet();
      connection.take();
      const { position } = await on.engine.application.history(room);
      const payload = { position: { ...position, seq: below(position.seq + 1) } };
      connection.send({ type: 'subscribe', id: 's', channel: room, payload });
      if (below(2) === 0) connection.send({ type: 'history', id: 'h', channel: room, payload: {} });
      clients.push({ connection, looked: 0, stalled: false });
    } else {
      const client = clients[below(Math.max(1, clients.length))];
      if (client?.stalled === true) client.connection.drain();
      else client?.connection.stall();
      if (client !== undefined) client.stalled = !client.stalled;
    }
    await quiet();
    check();
  }
  for (const { connection } of clients) connection.drain();
  await quiet();
  check();
  for (const { connection } of clients) {
    const seqs = connection.take('event').map(({ seq }) => seq ?? 0);
    expect(seqs).toEqual(seqs.map((_, index) => (seqs[0] ?? 0) + index));
    expect(seqs.at(-1) ?? published).toBe(published);
  }
}

import { describe, expect, it } from '@jest/globals';
import { AppendGate } from '../../../../lib/brokers/replicated/append-gate.js';
import { LogLink } from '../../../../lib/brokers/replicated/log-link.js';
import {
  AppendError,
  type AppendResult,
  type LogState,
} from '../../../../lib/brokers/replicated/ordered-log.js';

const BYTES = Uint8Array.of(1);

describe('the gate of appends', () => {
  it('lets one append of a partition through at a time, and the next one when it is settled', async () => {
    const { gate, link } = openGate();
    const [first, second] = [deferred(), deferred()];
    const one = gate.run(0, BYTES, link.session, () => first.promise);
    await expect(gate.run(0, BYTES, link.session, () => second.promise)).rejects.toMatchObject({
      outcome: 'refused',
      retryable: true,
    });
    const other = gate.run(1, BYTES, link.session, () => second.promise);
    first.resolve({ offset: 4 });
    second.resolve({ offset: 9 });
    await expect(one).resolves.toEqual({ offset: 4 });
    await expect(other).resolves.toEqual({ offset: 9 });
    await expect(gate.run(0, BYTES, link.session, async () => ({ offset: 5 }))).resolves.toEqual({
      offset: 5,
    });
  });

  it('fails what is in flight as unknown when the connection is lost, and does not listen to its answer', async () => {
    const { gate, link } = openGate();
    const { promise, resolve } = deferred();
    const session = link.session;
    const append = gate.run(0, BYTES, session, () => promise);
    link.lose('gone');
    await expect(append).rejects.toMatchObject({ outcome: 'unknown' });
    await expect(gate.run(0, BYTES, session, () => promise)).rejects.toMatchObject({ outcome: 'refused' });
    link.open();
    // Of the connection before: refused, though there is one.
    await expect(gate.run(0, BYTES, session, () => promise)).rejects.toMatchObject({ outcome: 'refused' });
    const later = deferred();
    const next = gate.run(0, BYTES, link.session, () => later.promise);
    resolve({ offset: 1 });
    later.resolve({ offset: 2 });
    await expect(next).resolves.toEqual({ offset: 2 });
  });

  it('hands on the error of the driver', async () => {
    const { gate, link } = openGate();
    const error = new AppendError('unknown', 'no answer');
    await expect(gate.run(0, BYTES, link.session, () => Promise.reject(error))).rejects.toBe(error);
    await expect(gate.run(0, BYTES, link.session, async () => ({ offset: 1 }))).resolves.toEqual({
      offset: 1,
    });
  });

  it.each([
    ['no bytes', 0, new Uint8Array(0)],
    ['too many bytes', 0, new Uint8Array(11)],
    ['a partition behind the last', 2, BYTES],
    ['a partition below the first', -1, BYTES],
    ['a part of a partition', 0.5, BYTES],
  ])('refuses %s for good, without sending', async (_, partition, bytes) => {
    const { gate, link } = openGate();
    let sent = 0;
    const send = async (): Promise<AppendResult> => ({ offset: ++sent });
    const error = { outcome: 'refused', retryable: false };
    await expect(gate.run(partition, bytes, link.session, send)).rejects.toMatchObject(error);
    expect(sent).toBe(0);
    await expect(gate.run(1, new Uint8Array(10), link.session, send)).resolves.toEqual({ offset: 1 });
  });

  it('refuses everything once it is closed, and what was in flight is unknown', async () => {
    const { gate, link } = openGate();
    const append = gate.run(0, BYTES, link.session, () => deferred().promise);
    gate.close();
    await expect(append).rejects.toMatchObject({ outcome: 'unknown' });
    const late = gate.run(0, BYTES, link.session, async () => ({ offset: 1 }));
    await expect(late).rejects.toMatchObject({ outcome: 'refused', retryable: false });
  });
});

describe('the link of a log', () => {
  it('numbers its connections and reports each change once', () => {
    const link = new LogLink();
    const states: LogState[] = [];
    const listener = (state: LogState): void => void states.push(state);
    const stop = link.onState(listener);
    const stopSecond = link.onState(listener);
    expect([link.connected, link.session]).toEqual([false, 0]);
    link.open();
    link.open();
    stopSecond();
    stopSecond();
    link.lose('gone');
    link.lose('gone again');
    link.open();
    stop();
    link.lose('unheard');
    expect(states).toEqual([
      { connected: true, session: 1 },
      { connected: true, session: 1 },
      { connected: false, session: 1, reason: 'gone' },
      { connected: true, session: 2 },
    ]);
    expect([link.connected, link.session]).toEqual([false, 2]);
  });
});

function openGate(): { gate: AppendGate; link: LogLink } {
  const link = new LogLink();
  const gate = new AppendGate({ partitions: 2, maxRecordBytes: 10 }, link);
  link.open();
  return { gate, link };
}

function deferred(): { promise: Promise<AppendResult>; resolve: (result: AppendResult) => void } {
  let resolve: (result: AppendResult) => void = () => undefined;
  const promise = new Promise<AppendResult>((done) => (resolve = done));
  return { promise, resolve };
}

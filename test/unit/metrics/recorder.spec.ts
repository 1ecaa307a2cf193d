import { describe, expect, it } from '@jest/globals';
import type { ObservedCommand, Observer } from '../../../lib/core/ports/observer.js';
import type { HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import { Recorder } from '../../../lib/metrics/recorder.js';
import { METRICS, type MetricDefinition } from '../../../lib/metrics/table/index.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';

const connection = { transport: 'websocket' } as RealtimeConnection;
const command: ObservedCommand = {
  type: 'publish',
  id: 'c',
  channel: 'rooms.1',
  event: 'said',
  pattern: 'rooms.:room',
  trace: undefined,
};
const call = {} as HandlerCall;

/** All series of what is counted, with their labels as text. */
function seriesOf(recorder: Recorder): readonly string[] {
  return (Object.entries(METRICS) as [keyof typeof METRICS, MetricDefinition][]).flatMap(
    ([name, { type }]) => {
      const samples =
        type === 'histogram'
          ? recorder.distribution(name as never).samples(name)
          : recorder.count(name as never).samples();
      return samples.map(({ labels }) => `${name} ${JSON.stringify(labels)}`);
    },
  );
}

/** The value of one counter. */
function valueOf(recorder: Recorder, name: string, ...labels: [string?, string?, string?]): number {
  return recorder.count(name as never).at(...labels).value;
}

function started(): { readonly recorder: Recorder; readonly observer: Required<Observer> } {
  const recorder = new Recorder();
  return { recorder, observer: recorder.observer() as Required<Observer> };
}

describe('acts', () => {
  it.each([
    'unban',
    'disconnect',
    'revoke_pattern',
    'erase',
    'restrict_slow',
    'lift_ban',
    'lift_mute',
    'lift_slow',
    'throttle',
  ])('of the kind %s have a series of each result before the first, which is an increase then', (act) => {
    const { recorder } = started();
    const series = seriesOf(recorder);
    for (const result of ['applied', 'partial', 'failed'])
      expect(series).toContain(`acts_total ${JSON.stringify({ act, result })}`);
  });

  it('that are done count in the series that was there', () => {
    const { recorder, observer } = started();
    const before = seriesOf(recorder).filter((one) => one.startsWith('acts_total'));
    const whom = { of: 'user', id: 'u' } as const;
    observer.onAct({ kind: 'lift', act: 'slow', whom, channel: 'a' } as never, undefined, undefined, 1);
    observer.onAct({ kind: 'unban', user: 'u' }, undefined, undefined, 1);
    expect(valueOf(recorder, 'acts_total', 'lift_slow', 'failed')).toBe(1);
    expect(valueOf(recorder, 'acts_total', 'unban', 'failed')).toBe(1);
    expect(seriesOf(recorder).filter((one) => one.startsWith('acts_total'))).toEqual(before);
  });
});

describe('labels', () => {
  it('stay the same under 10,000 random users, names of channels and events, addresses and codes', () => {
    const { recorder, observer } = started();
    const entropy = new SeededEntropy();
    const one = (name: string): void => {
      const user = { id: name };
      const other = { transport: 'websocket', id: name, ip: name, user } as unknown as RealtimeConnection;
      const named = { ...command, id: name, channel: name, event: name };
      observer.onCommandStart(other, named);
      observer.onCommandEnd(other, named, name as 'internal', 1);
      observer.onAuthorization({ ...call, channel: name }, 'rooms.:room', 'subscribe', name as 'internal', 1);
      observer.onRefusal('hello', 'unauthorized', name);
      observer.onRateLimit(other);
      observer.onConnectionClose(other, 3_000 + Math.floor(entropy.random() * 2_000), 'client');
      observer.onAct(
        { kind: 'revoke', user: name, channel: name, by: name, reason: name },
        undefined,
        undefined,
        1,
      );
      observer.onAct(
        { kind: 'restrict', act: 'mute', whom: { of: 'user', id: name }, channel: name },
        { confirmed: [name], missing: [name] },
        undefined,
        1,
      );
      observer.onSpam({
        ...{ user: name, session: name, address: name, channel: name, strikes: 1 },
        pattern: 'rooms.:room',
        step: undefined,
      });
      observer.onPublish('rooms.:room', name as 'internal', 1);
      observer.onBrokerState('down', name);
    };
    for (let round = 0; round < 10; round++) one(entropy.id());
    const before = new Set(seriesOf(recorder));
    const names = Array.from({ length: 10_000 }, () => entropy.id());
    for (const name of names) one(name);
    const after = seriesOf(recorder);
    const closes = /^disconnects_total/;
    expect(after.filter((series) => !before.has(series) && !closes.test(series))).toEqual([]);
    expect(after.filter((series) => closes.test(series)).length).toBeLessThan(60);
    const text = after.join('\n');
    expect(names.filter((name) => text.includes(name))).toEqual([]);
    expect(valueOf(recorder, 'commands_total', 'publish', 'other')).toBe(10_010);
  });

  it('have at most 2,000 values together; what is more is counted as other', () => {
    const { recorder, observer } = started();
    for (let index = 0; index < 2_500; index++) observer.onDelivery(`p${index}`, 1, 1);
    for (let index = 0; index < 2_500; index++) observer.onDelivery(`p${index}`, 1, 1);
    const samples = recorder.count('events_delivered_total').samples();
    expect(samples).toHaveLength(2_001);
    expect(samples.reduce((sum, { value }) => sum + value, 0)).toBe(5_000);
    expect(samples.find(({ labels }) => labels['pattern'] === 'other')?.value).toBe(1_000);
    expect(valueOf(recorder, 'events_delivered_total', 'p1999')).toBe(2);
  });
});

describe('what is counted', () => {
  it('commands under way are those that began and did not end', () => {
    const { recorder, observer } = started();
    for (let index = 0; index < 3; index++) observer.onCommandStart(connection, command);
    observer.onCommandEnd(connection, command, 'ok', 20);
    observer.onCommandEnd(connection, command, 'closed', 20);
    expect(valueOf(recorder, 'commands_in_flight')).toBe(1);
    expect(valueOf(recorder, 'commands_total', 'publish', 'ok')).toBe(1);
    expect(valueOf(recorder, 'commands_total', 'publish', 'closed')).toBe(1);
  });

  it('events are counted once for each session, and drops with their policy', () => {
    const { recorder, observer } = started();
    observer.onDelivery('p', 3, 4);
    observer.onGap('p', 'overflow', 7, 'drop-oldest');
    observer.onGap('p', 'overflow', 2, 'drop-oldest');
    observer.onSignal('p', 5, 0);
    observer.onSignal('p', 1, 2);
    expect(valueOf(recorder, 'events_delivered_total', 'p')).toBe(12);
    expect(valueOf(recorder, 'events_dropped_total', 'p', 'overflow', 'drop-oldest')).toBe(9);
    expect(valueOf(recorder, 'gaps_total', 'p', 'overflow', 'drop-oldest')).toBe(2);
    expect([
      valueOf(recorder, 'signals_sent_total', 'p'),
      valueOf(recorder, 'signals_dropped_total', 'p'),
    ]).toEqual([6, 2]);
  });

  it.each([
    [4003, 'slow_consumer'],
    [1000, 'normal'],
    [1001, 'going_away'],
    [1005, 'no_status'],
    [1006, 'abnormal'],
    [4999, 'other'],
  ])('a close with %i is %s', (code, reason) => {
    const { recorder, observer } = started();
    observer.onConnectionClose(connection, code, 'client');
    expect(valueOf(recorder, 'disconnects_total', reason, 'client')).toBe(1);
    expect(valueOf(recorder, 'disconnects_total', reason, 'node')).toBe(0);
  });

  it('acts are applied, partial or failed, and none of them is missing before its first', () => {
    const { recorder, observer } = started();
    expect(recorder.count('acts_total').samples()).toContainEqual({
      labels: { act: 'revoke', result: 'partial' },
      value: 0,
    });
    const act = { kind: 'revoke', user: 'u' } as const;
    observer.onAct(act, { confirmed: ['a'], missing: [] }, undefined, 30);
    observer.onAct(act, { confirmed: [], missing: ['b'] }, undefined, 30);
    observer.onAct(act, undefined, new Error('away'), 30);
    observer.onAct(
      { kind: 'lift', act: 'mute', whom: { of: 'user', id: 'u' } },
      { confirmed: [], missing: [] },
      undefined,
      0,
    );
    for (const result of ['applied', 'partial', 'failed'])
      expect(valueOf(recorder, 'acts_total', 'revoke', result)).toBe(1);
    expect(valueOf(recorder, 'acts_total', 'lift_mute', 'applied')).toBe(1);
    expect(recorder.distribution('act_duration_seconds').at('revoke')).toMatchObject({
      count: 3,
      sum: expect.closeTo(0.09),
    });
  });

  it('durations are in seconds, in buckets that count those below them, bounds inclusive', () => {
    const { recorder, observer } = started();
    for (const durationMs of [1, 2.5, 2.6, 10_000, 60_000]) observer.onPublish('p', 'ok', durationMs);
    const samples = recorder.distribution('publish_duration_seconds').samples('x');
    const bucket = (le: string) =>
      samples.find(({ metricName, labels }) => metricName === 'x_bucket' && labels['le'] === le)?.value;
    expect(['0.001', '0.0025', '0.005', '5', '10', '+Inf'].map(bucket)).toEqual([1, 2, 3, 3, 4, 5]);
    expect(samples.find(({ metricName }) => metricName === 'x_count')).toEqual({
      metricName: 'x_count',
      labels: { pattern: 'p' },
      value: 5,
    });
    expect(samples.find(({ metricName }) => metricName === 'x_sum')?.value).toBeCloseTo(70.0061);
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkCosts, readCosts, saveCosts } from '../../../bench/capacity/costs.mjs';
import { readFlags } from '../../../bench/capacity/flags.mjs';
import { flushing, flushShare } from '../../../bench/capacity/flush.model.mjs';
import { mostEvents } from '../../../bench/capacity/most.mjs';
import { leastSquares } from '../../../bench/capacity/least-squares.mjs';
import { nodeLoad } from '../../../bench/capacity/node.load.mjs';
import { nodesFor } from '../../../bench/capacity/nodes.mjs';
import { tableOf } from '../../../bench/capacity/table.mjs';
import { planOf } from '../../../bench/capacity/plan.mjs';
import type { Costs, Plan } from '../../../bench/capacity/capacity.types.mjs';

const COSTS: Costs = {
  transport: 'websocket',
  micros: {
    connection: 500,
    heartbeat: 25,
    request: 30,
    clientPublish: 50,
    publish: 5,
    event: 5,
    receive: 9,
    flush: 60,
    write: 10,
    delivery: 0.1,
  },
  bytes: {
    base: 80e6,
    working: 60e6,
    connection: 7_000,
    subscription: 300,
    channel: 2_000,
    keptEvent: 1_000,
    write: 0,
    envelope: 150,
    clientEnvelope: 200,
    payload: 128,
    delivery: 278,
  },
};
const SAID = { connections: 10_000, channels: 100, rate: 100, history: 0 };
const plan = (more: Partial<Plan> = {}) => planOf({ ...SAID, ...more });
/** Where no number of nodes is enough, more than any. */
const nodes = (more: Partial<Plan> = {}, costs = COSTS) => nodesFor(plan(more), costs).nodes ?? Infinity;

describe('the load of a node', () => {
  it('equals a sum calculated by hand', () => {
    const load = nodeLoad(plan({ source: 'application', requests: 1_000 }), COSTS, 1);
    expect(load.parts.heartbeats).toBeCloseTo((10_000 / 25) * 25e-6, 10);
    expect(load.parts.connects).toBeCloseTo((10_000 / 3_600) * 500e-6, 10);
    expect(load.parts.publishes).toBeCloseTo(100 * 5e-6, 10);
    expect(load.parts.requests).toBeCloseTo(1_000 * 30e-6, 10);
    // 100 flushes, 100 events, 10,000 writes and deliveries a second.
    expect(load.parts.fanOut).toBeCloseTo(100 * 60e-6 + 100 * 5e-6 + 10_000 * 10.1e-6, 10);
    expect(load.cpu).toBeCloseTo(0.01 + 10 / 7_200 + 0.0005 + 0.03 + 0.1075, 6);
    expect(load.memory).toBe(80e6 + 60e6 + 10_000 * 7_000 + 100 * 2_000);
    expect(load.bits).toBe(8 * 10_000 * (278 + 52));
    expect(load.period).toBe(0);
  });

  it('includes further subscriptions of a connection, and kept events', () => {
    const one = nodeLoad(plan(), COSTS, 1);
    const three = nodeLoad(plan({ channelsPerConnection: 3, history: 10 }), COSTS, 1);
    expect(three.memory - one.memory).toBe(20_000 * 300 + 100 * 10 * 1_000);
    expect(three.deliveries).toBe(3 * one.deliveries);
  });

  it('with several nodes, includes receiving events from the broker on each node that serves the channel', () => {
    expect(nodeLoad(plan(), COSTS, 1).parts.received).toBe(0);
    // A channel of one subscriber is served by one node of four.
    const lonely = plan({ subscribers: 1 });
    expect(nodeLoad(lonely, COSTS, 4).parts.received).toBeCloseTo((100 * 9e-6) / 4, 10);
    expect(nodeLoad(plan({ subscribers: 10_000 }), COSTS, 4).parts.received).toBeCloseTo(100 * 9e-6, 10);
  });
});

describe('the load of a node of a transport', () => {
  const polling: Costs = { ...COSTS, transport: 'polling' };
  const beats = (costs: Costs, more: Partial<Plan> = {}) =>
    nodeLoad(plan(more), costs, 1).parts.heartbeats as number;

  it.each(['websocket', 'sse'])(
    'has one heartbeat per interval over %s, whatever is written',
    (transport) => {
      const costs = { ...COSTS, transport };
      expect(beats(costs, { rate: 0 })).toBeCloseTo((10_000 / 25) * 25e-6, 10);
      expect(beats(costs, { rate: 1_000 })).toBe(beats(costs, { rate: 0 }));
    },
  );

  it('has an empty answer for each poll to which nothing came, a tenth earlier than the interval', () => {
    expect(beats(polling, { rate: 0 })).toBeCloseTo((10_000 / 22.5) * 25e-6, 10);
    // One event in the mean wait of a poll: 1 / (e − 1) of the waits end without one.
    const once = beats(polling, { rate: 100 / 22.5 });
    expect(once / beats(polling, { rate: 0 })).toBeCloseTo(1 / (Math.E - 1), 3);
    expect(beats(polling, { rate: 10_000 })).toBeCloseTo(0, 6);
  });

  it('has empty answers for connections without a subscription, also while others are written to', () => {
    const half = { subscribers: 50, rate: 10_000 };
    expect(beats(polling, half)).toBeCloseTo((5_000 / 22.5) * 25e-6, 6);
  });

  it('sends what each write takes, once for the events in it', () => {
    const headed = { ...COSTS, bytes: { ...COSTS.bytes, write: 200 } };
    const alone = plan({ source: 'application' });
    expect(nodeLoad(alone, headed, 1).bits - nodeLoad(alone, COSTS, 1).bits).toBeCloseTo(8 * 10_000 * 200, 3);
    const shared = plan({ source: 'application', rate: 2_000 });
    const { bits, writes, deliveries } = nodeLoad(shared, headed, 1);
    expect(writes).toBeLessThan(deliveries / 2);
    expect(bits).toBeGreaterThan(8 * (deliveries * 278 + writes * 200));
    expect(bits).toBeLessThan(
      8 * (deliveries * 278 + writes * (200 + 2 * 52)) + 8 * (deliveries * 278) * 0.04,
    );
  });
});

describe('the most that a node carries', () => {
  it.each([
    ['CPU', {}],
    ['memory', { memory: 60e6 + 80e6 + 10_000 * 7_000 + 100 * 2_000, history: 1 }],
    ['bandwidth', { bandwidth: 1e6 }],
  ])('is bound by %s, and one hundredth more is too much', (binding, more) => {
    const found = mostEvents(plan(more), COSTS);
    expect(found.binding).toBe(binding);
    if (found.rate > 0) {
      expect(nodes({ ...more, rate: found.rate })).toBe(1);
      expect(nodes({ ...more, rate: found.rate * 1.01 })).toBeGreaterThan(1);
    }
  });

  it('is nothing where the connections alone are too many', () => {
    expect(mostEvents(plan({ maxConnections: 9_999 }), COSTS)).toEqual({
      rate: 0,
      binding: 'connections (limits.maxConnections)',
    });
  });

  it('does not depend on the rate of the plan', () => {
    expect(mostEvents(plan({ rate: 5 }), COSTS)).toEqual(mostEvents(plan({ rate: 5_000 }), COSTS));
  });

  it('falls with connections in one channel, and in a table has a cell for each number of subscribers', () => {
    const rows = tableOf(COSTS, { history: 0 });
    expect(rows.map(([connections]) => connections)).toEqual(['1,000', '5,000', '20,000', '50,000']);
    const events = rows.map((row) =>
      row.slice(1).map((cell) => Number(cell.split(' ')[0]!.replaceAll(',', ''))),
    );
    for (const row of events) expect(row).toEqual([...row].sort((a, b) => b - a));
    expect(events[0]![0]).toBeGreaterThan(3 * events[0]![3]!);
    expect(rows[0]![1]).toMatch(/^[\d,]+ \(CPU\)$/);
  });
});

describe('the model of a flush', () => {
  const load = {
    channels: 1,
    connections: 1_000,
    eventsPerChannel: 10,
    eventsPerConnection: 10,
    flush: 60,
    write: 10,
    perSecond: 0,
  };
  const at = (rate: number) => ({ ...load, eventsPerChannel: rate, eventsPerConnection: rate });

  it('writes each event separately while none waits', () => {
    expect(flushShare(load, 0)).toBeCloseTo(10 * (60 + 10_000) * 1e-6, 10);
    expect(flushing(load, 0.025)).toMatchObject({ period: 0, expected: flushShare(load, 0) });
  });

  it('pauses three times the length of a flush, and less for long flushes', () => {
    const lengthOf = (paced: { expected: number; period: number }) => paced.expected * paced.period;
    // 200 events a second of 10 ms each: more than a core where each is written by itself.
    const light = flushing(at(200), 0.1);
    expect(light.alone).toBeGreaterThan(1);
    expect(light.expected).toBeCloseTo(0.25, 6);
    expect(light.period).toBeCloseTo(4 * lengthOf(light), 6);
    const heavy = flushing({ ...at(1_000), perSecond: 100_000 }, 0.025);
    expect(heavy.period).toBeCloseTo(lengthOf(heavy) + 1.5 * (0.025 - lengthOf(heavy)), 6);
  });

  it('does not pause at full load', () => {
    const full = flushing({ ...at(1_000), perSecond: 700_000 }, 0.025);
    expect(full.expected).toBeCloseTo(1, 6);
    expect(full.needed).toBeLessThan(1.05);
  });

  it('still exceeds one core when sharing does not save enough', () => {
    const { needed } = flushing({ ...at(1_000), perSecond: 2e6 }, 0.025);
    expect(needed).toBeGreaterThan(1);
  });

  it('never needs less for more events', () => {
    const needed = Array.from({ length: 200 }, (_, index) => flushing(at(index * 5), 0.025).needed);
    const falls = needed.filter((value, index) => value < (needed[index - 1] ?? 0) - 1e-9);
    expect(falls).toEqual([]);
    expect(needed.at(-1)).toBeGreaterThan(0.25);
  });

  it('delays no event when the allowed delay is 0', () => {
    const strict = flushing(at(100), 0);
    expect(strict).toMatchObject({ period: 0, needed: strict.alone });
  });
});

describe('the number of nodes', () => {
  const growing: [keyof Plan, readonly number[]][] = [
    ['connections', [1, 10_000, 20_000, 50_000, 100_000, 200_000, 1_000_000]],
    ['rate', [0, 10, 100, 200, 300, 400, 500, 700, 1_000, 2_000, 5_000]],
    ['subscribers', [1, 10, 100, 500, 1_000, 2_000, 5_000, 10_000]],
    ['channelsPerConnection', [1, 2, 3, 5, 10]],
    ['bytes', [1, 128, 1_024, 16_384, 65_536]],
    ['requests', [0, 1_000, 10_000, 50_000, 100_000]],
    ['history', [0, 100, 1_000, 100_000]],
  ];
  const shrinking: [keyof Plan, readonly number[]][] = [
    ['lifetime', [1, 10, 60, 3_600]],
    ['heartbeat', [1, 5, 25, 60]],
    ['target', [0.05, 0.1, 0.35, 0.6, 0.9, 1]],
    ['memory', [150e6, 200e6, 500e6, 4e9]],
    ['bandwidth', [1e6, 1e7, 1e8, 1e9]],
    ['maxConnections', [10, 100, 1_000, 100_000]],
    ['flushDelay', [0, 0.005, 0.025, 0.1]],
  ];

  it.each(growing)('does not fall with a larger %s', (field, values) => {
    const found = values.map((value) => nodes({ [field]: value }));
    expect(found).toEqual([...found].sort((a, b) => a - b));
    // A model that ignores the field would pass otherwise.
    expect(values.some((value) => differs({ [field]: value }, { [field]: values[0] }))).toBe(true);
  });

  it.each(shrinking)('does not rise with a larger %s', (field, values) => {
    const busy = { rate: 1_000, connections: 20_000 };
    const found = values.map((value) => nodes({ ...busy, [field]: value }));
    expect(found).toEqual([...found].sort((a, b) => b - a));
    expect(found[0]).toBeGreaterThan(found.at(-1) as number);
  });

  it.each(Object.keys(COSTS.micros))('does not fall with a larger cost micros.%s', (name) => {
    const busy = { rate: 2_000, connections: 20_000, requests: 20_000, lifetime: 60 };
    const found = [0, 1, 5, 20, 100].map((factor) =>
      nodes(
        { ...busy, ...(name === 'publish' ? { source: 'application' } : {}) },
        { ...COSTS, micros: { ...COSTS.micros, [name]: factor * (COSTS.micros[name] as number) } },
      ),
    );
    expect(found).toEqual([...found].sort((a, b) => a - b));
    expect(found.at(-1)).toBeGreaterThan(found[0] as number);
  });

  it('is the smallest that is enough', () => {
    const wanted = plan({ connections: 200_000, memory: 300e6 });
    const { nodes: found, load } = nodesFor(wanted, COSTS);
    expect(load.memory).toBeLessThanOrEqual(300e6);
    expect(nodeLoad(wanted, COSTS, (found as number) - 1).memory).toBeGreaterThan(300e6);
  });

  it.each([
    ['CPU', { target: 0.1 }],
    ['memory', { memory: 160e6 }],
    ['connections (limits.maxConnections)', { maxConnections: 1_000 }],
    ['bandwidth', { bandwidth: 1e6 }],
  ])('names %s as the limit where it is the limit', (binding, more) => {
    expect(nodesFor(plan(more), COSTS)).toMatchObject({ binding });
    expect(nodes(more)).toBeGreaterThan(1);
  });

  it('is undefined when no number is enough, and names the limit', () => {
    expect(nodesFor(plan({ memory: 100e6 }), COSTS)).toMatchObject({ nodes: undefined, binding: 'memory' });
  });

  function differs(one: Partial<Plan>, other: Partial<Plan>): boolean {
    const of = (more: Partial<Plan>) => JSON.stringify(nodeLoad(plan(more), COSTS, 2));
    return of(one) !== of(other);
  }
});

describe('the command-line flags', () => {
  it('read numbers with units', () => {
    const args =
      '--connections 100k --channels 1000 --rate 1e3 --memory 2GB --bandwidth 1Gbit --target 70% --heartbeat 25s --flush-delay 5ms';
    expect(readFlags(args.split(' '))).toEqual({
      connections: 100_000,
      channels: 1_000,
      rate: 1_000,
      memory: 2e9,
      bandwidth: 1e9,
      target: 0.7,
      heartbeat: 25,
      flushDelay: 0.005,
    });
  });

  it.each([
    [['--connectoins', '5'], /no flag --connectoins.*Did you mean --connections\?.*--help/],
    [['--wat'], /no flag --wat\. --help lists the flags/],
    [['5'], /--help lists the flags/],
    [['--rate', 'many'], /--rate wants a number such as 500 or 100k, not "many"/],
    [['--memory', '2XB'], /--memory wants a size such as 2GB/],
    [['--heartbeat', '25'], /--heartbeat wants a duration such as 25s/],
    [['--connections', '0'], /--connections must be more than 0/],
    [
      ['--transport', 'carrier-pigeon'],
      /--transport wants websocket or sse or polling, not "carrier-pigeon"/,
    ],
    [['--source', 'nobody'], /--source wants clients or application/],
  ])('%j are refused with the remedy', (args, message) => {
    expect(() => readFlags(args)).toThrow(message);
  });

  it.each([
    [{ channels: 1, rate: 1 }, /--connections is missing/],
    [{ ...SAID, subscribers: 1, channelsPerConnection: 1 }, /give one of them/],
    [{ ...SAID, subscribers: 10_001 }, /more subscribers than there are connections/],
    [{ ...SAID, target: 1.5 }, /100% at most/],
  ])('a plan of %j is refused with the remedy', (said, message) => {
    expect(() => planOf(said)).toThrow(message);
  });

  it('derive the subscribers of a channel from the connections', () => {
    expect(plan({ channelsPerConnection: 4 }).subscribers).toBe(400);
  });
});

describe('the costs', () => {
  it.each([
    [undefined, /transport of the costs must be websocket or sse or polling/],
    [{ ...COSTS, transport: 'pigeon' }, /transport of the costs must be/],
    [{ ...COSTS, micros: {} }, /micros\.connection of the costs must be a number/],
    [{ ...COSTS, bytes: { ...COSTS.bytes, write: undefined } }, /bytes\.write/],
    [{ ...COSTS, micros: { ...COSTS.micros, write: -1 } }, /micros\.write/],
    [{ ...COSTS, bytes: { ...COSTS.bytes, channel: '3' } }, /bytes\.channel/],
  ])('%j are refused with the remedy', (costs, message) => {
    expect(() => checkCosts(costs)).toThrow(message);
    expect(() => checkCosts(costs)).toThrow(/--save/);
  });

  it('costs that are in no file are refused with the remedy', () => {
    expect(() => readCosts('no-such-costs.json')).toThrow(/cannot be read \(ENOENT\).*--save/);
  });

  it('costs of another transport than the one that was asked for are refused with the remedy', () => {
    const folder = mkdtempSync(join(tmpdir(), 'capacity-'));
    const file = join(folder, 'costs.json');
    saveCosts(file, COSTS);
    try {
      expect(readCosts(file)).toEqual(COSTS);
      expect(readCosts(file, 'websocket')).toEqual(COSTS);
      expect(() => readCosts(file, 'polling')).toThrow(
        /has the costs of websocket, not of polling.*--transport polling --save/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('costs are recovered by least squares from the values that they produced', () => {
    const rows = [1, 10, 100].flatMap((events) =>
      [100, 1_000].map((audience) => [1, events, audience, audience * events]),
    );
    const values = rows.map(([a, b, c, d]) => 60 * a! + 12 * b! + 9 * c! + 0.08 * d!);
    const found = leastSquares(rows, values);
    [60, 12, 9, 0.08].forEach((cost, index) => expect(found[index]).toBeCloseTo(cost, 6));
  });

  it('costs are never negative', () => {
    const found = leastSquares(
      [
        [1, 1],
        [1, 2],
        [1, 3],
      ],
      [3, 2, 1],
    );
    expect(Math.min(...found)).toBe(0);
    expect(Math.max(...found)).toBeGreaterThan(0);
  });
});

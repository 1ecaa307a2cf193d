import { describe, expect, it } from '@jest/globals';
import { floods } from '../../../bench/floods/floods.mjs';
import { faultsOf } from '../../../bench/floods/verdict.mjs';

const FORGOT = 'WARN [RealtimeModule] memoryBroker reached a bound (maxBytes #): # channel(s) forgotten';
const crowd = { own: { tried: 4, in: 4, refused: [] }, shared: { tried: 4, in: 4, refused: [] } };
const FLOOD = { name: 'a', title: 'a' };

/** A node that stood, whose neighbour finds so many of its old events no more. */
function result(forgotten: number, lines: readonly string[] = [], pingP99 = 1) {
  return {
    name: 'a',
    survived: true,
    memory: { peakRss: 10, held: 1 },
    cpu: { waited: 0 },
    neighbour: {
      idle: { pingP99: 1 },
      during: { pingP99, newcomers: crowd },
      settled: { pingP99: 1 },
      lost: 0,
      gaps: 0,
      closed: [],
      refused: [],
      behind: 0,
      forgotten,
      answers: true,
    },
    attack: { closed: {}, refused: {}, errors: {} },
    log: { lines: lines.length, earlier: 0, kinds: lines.map((line) => [line, 1]) },
  };
}

describe('old events of others', () => {
  it('are forgotten by no flood', () => {
    expect(faultsOf(result(0), FLOOD)).toEqual([]);
    expect(faultsOf(result(20, [FORGOT]), FLOOD)).toEqual(['20 old events of others are forgotten']);
  });

  it('may be forgotten by one that fills the memory of the broker, if the log says so', () => {
    const fills = { ...FLOOD, fills: true };
    expect(faultsOf(result(0), fills)).toEqual([]);
    expect(faultsOf(result(20, [FORGOT]), fills)).toEqual([]);
    expect(faultsOf(result(20, ['WARN something else']), fills)).toEqual([
      'the log does not say that 20 old events of others are forgotten',
    ]);
  });

  it('only floods that publish much fill the memory', () => {
    expect(floods.filter(({ fills }) => fills).map(({ name }) => name)).toEqual([
      'new-channels-fat',
      'large-publishes',
    ]);
  });
});

describe('round trips', () => {
  it('are bounded, in a flood of requests of HTTP by what its server costs', () => {
    expect(faultsOf(result(0, [], 100), FLOOD)).toEqual([]);
    expect(faultsOf(result(0, [], 101), FLOOD)).toEqual(['pings of 101 ms']);
    expect(faultsOf(result(0, [], 1_000), { ...FLOOD, slowMs: 1_000 })).toEqual([]);
    expect(faultsOf(result(0, [], 1_001), { ...FLOOD, slowMs: 1_000 })).toEqual(['pings of 1001 ms']);
    expect(floods.filter(({ slowMs }) => slowMs !== undefined).map(({ name }) => name)).toEqual([
      'probes',
      'streams-ten-thousand',
    ]);
  });
});

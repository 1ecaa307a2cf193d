import { describe, expect, it } from '@jest/globals';
import { KnownNodes } from '../../../../../lib/brokers/redis/control/known-nodes.js';

const TTL_MS = 1_000;
const PROOF_MS = 200;

function nodes(proofMs = PROOF_MS, controlMaxAgeMs = TTL_MS / 2) {
  let now = 10_000;
  const known = new KnownNodes({ monotonic: () => now }, { nodeTtlMs: TTL_MS, proofMs, controlMaxAgeMs });
  return {
    known,
    pass: (ms: number) => void (now += ms),
    /** A heartbeat. @param provenAgo how long ago the server was certainly the master. */
    note: (epoch: string, names: string, provenAgo = 0) =>
      known.note({ epoch, nodes: [...names], provenAt: now - provenAgo }),
    expected: (epoch: string, names: string) => known.expected(epoch, [...names]).join(''),
  };
}

describe('the nodes of which a receipt speaks', () => {
  it('are those that the server names, where nothing is in doubt (G11)', () => {
    const { note, pass, expected } = nodes();
    expect(expected('e', 'ab')).toBe('ab');
    note('e', 'abc');
    expect(expected('e', 'ab')).toBe('ab');
    pass(TTL_MS / 2);
    note('e', 'ab');
    expect(expected('e', 'a')).toBe('a');
    expect(expected('e', 'abd')).toBe('abd');
  });

  it('are also those from before another server became the master, until they had the time to say that they live (G11)', () => {
    const { note, pass, expected } = nodes();
    note('e', 'abc');
    // The record is stored before the next heartbeat finds the other server.
    expect(expected('f', 'a')).toBe('abc');
    pass(30 * TTL_MS);
    expect(expected('f', 'a')).toBe('abc');
    note('f', 'ab');
    expect(expected('f', 'ab')).toBe('abc');
    pass(TTL_MS / 2);
    note('f', 'a');
    // The server named it before, as it had heard of it as a replica.
    expect(expected('f', 'a')).toBe('abc');
    pass(TTL_MS / 2 - 1);
    note('f', 'a');
    expect(expected('f', 'a')).toBe('abc');
    pass(1);
    expect(expected('f', 'a')).toBe('a');
    note('f', 'a');
    expect(expected('f', 'a')).toBe('a');
  });

  it('are waited for as long as one that is cut off may deliver by its last proof, where that is longer (G11)', () => {
    const { note, pass, expected } = nodes(PROOF_MS, 3 * TTL_MS);
    note('e', 'ab');
    pass(100);
    note('f', 'b');
    for (let left = 6; left > 0; left--) {
      expect(expected('f', 'b')).toBe('ab');
      pass(TTL_MS / 2);
      note('f', 'b');
    }
    expect(expected('f', 'b')).toBe('b');
    // Whether a server may leave out nodes is a matter of their heartbeats all the same.
    pass(TTL_MS / 2 + 1);
    expect(expected('f', '')).toBe('b');
  });

  it('are remembered through a second change of the master (G11)', () => {
    const { note, pass, expected } = nodes();
    note('e', 'abc');
    pass(100);
    note('f', 'ab');
    pass(TTL_MS - 100);
    note('g', 'a', 0);
    expect(expected('g', 'a')).toBe('abc');
    pass(TTL_MS);
    expect(expected('g', 'a')).toBe('abc');
    note('g', 'a');
    pass(TTL_MS);
    expect(expected('g', 'a')).toBe('abc');
  });

  it('are all that were ever named while nothing proves that the server is the master, for as long as that lasts (G11)', () => {
    const { note, pass, expected } = nodes();
    note('e', 'abc');
    for (let unproven = 100; unproven <= 5 * TTL_MS; unproven += 100) {
      pass(100);
      note('e', unproven < TTL_MS ? 'abc' : 'a', unproven);
    }
    expect(expected('e', 'a')).toBe('abc');
    pass(100);
    note('e', 'ab');
    expect(expected('e', 'ab')).toBe('abc');
    for (let proven = 0; proven < TTL_MS; proven += 100) {
      pass(100);
      note('e', 'ab');
    }
    expect(expected('e', 'ab')).toBe('ab');
  });

  it('are also those of the last heartbeat after a time without any, as nobody could say that it lives (G11)', () => {
    const { note, pass, expected } = nodes();
    note('e', 'ab');
    pass(TTL_MS);
    expect(expected('e', 'a')).toBe('ab');
    note('e', 'a');
    expect(expected('e', 'a')).toBe('ab');
    for (let at = 0; at < TTL_MS; at += 250) {
      pass(250);
      note('e', 'a');
    }
    expect(expected('e', 'a')).toBe('a');
  });

  it('one that left during the first heartbeats of a node, which nothing proves yet, is not waited for (G11)', () => {
    const { note, pass, expected } = nodes();
    note('e', 'ab', Infinity);
    pass(100);
    note('e', 'a', Infinity);
    expect(expected('e', 'a')).toBe('a');
  });

  it('are not in doubt between two heartbeats that are far apart (G11)', () => {
    const { note, pass, expected } = nodes(700);
    note('e', 'ab');
    pass(700);
    note('e', 'a');
    expect(expected('e', 'a')).toBe('a');
    pass(701);
    expect(expected('e', '')).toBe('a');
  });
});

import { beforeEach, describe, expect, it } from '@jest/globals';
import { Circuits, type OpenCode } from '../../../../lib/core/access/circuits.js';
import { OverdueError } from '../../../../lib/core/async/overdue-error.js';
import type { ObservedCircuit } from '../../../../lib/core/ports/observer.js';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import type { CircuitPolicy } from '../../../../lib/core/ports/settings.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

const fails = (): never => {
  throw new Error('the database is away');
};
const works = (): string => 'done';

describe('circuits of handlers (G16)', () => {
  const handler = {};
  let clock: ManualClock;
  let circuits: Circuits;
  let seen: string[];
  let warnings: string[];

  function start(policy: Partial<CircuitPolicy> = {}): void {
    clock = new ManualClock();
    seen = [];
    warnings = [];
    circuits = new Circuits({
      clock,
      entropy: { random: () => 0 },
      journal: { warn: (_kind, message) => void warnings.push(message()) },
      observer: { onCircuit: ({ of, state }: ObservedCircuit) => void seen.push(`${of} ${state}`) },
      settings: {
        circuits: { ...ENGINE_DEFAULTS.circuits, failures: 6, clients: 3, clientFailures: 4, ...policy },
      },
    });
  }
  beforeEach(() => start());

  function told(error: unknown): string {
    if (!(error instanceof RealtimeError)) return 'failed';
    return error.reason === 'circuit_open' ? `${error.code} ${error.retryAfterMs}` : error.code;
  }

  /** What a call of a handler ends in that answers at once. */
  function call(
    client: string,
    work: () => unknown = works,
    code: OpenCode = 'rate_limited',
    of = handler,
  ): string {
    try {
      const result = circuits.guard(
        of,
        () => client,
        () => 'The handler',
        code,
        work,
      );
      return String(result);
    } catch (error) {
      return told(error);
    }
  }

  /** The same of one that waits. */
  async function later(client: string, work: () => Promise<unknown>): Promise<string> {
    try {
      return String(
        await circuits.guard(
          handler,
          () => client,
          () => 'The handler',
          'rate_limited',
          work,
        ),
      );
    } catch (error) {
      return told(error);
    }
  }

  /** Two failures each of three clients. */
  function breakIt(): void {
    for (const client of ['a', 'b', 'c', 'a', 'b', 'c']) expect(call(client, fails)).toBe('failed');
  }

  it('a handler that fails for several clients is left alone, and not called', () => {
    breakIt();
    let calls = 0;
    expect(call('d', () => ++calls)).toBe('rate_limited 5000');
    expect(call('d', () => ++calls, 'unavailable')).toBe('unavailable 5000');
    expect(calls).toBe(0);
    expect(seen).toEqual(['all open']);
    expect(warnings).toEqual([expect.stringContaining('The handler keeps failing')]);
    expect(call('d', works, 'rate_limited', {})).toBe('done');
  });

  it('one failure less leaves it', () => {
    for (const client of ['a', 'b', 'c', 'a', 'b']) call(client, fails);
    expect(call('d')).toBe('done');
    expect(seen).toEqual([]);
  });

  it('it is tried after its time, one call at a time, and closed by two that work', async () => {
    breakIt();
    clock.advance(4_999);
    expect(call('d')).toBe('rate_limited 1');
    clock.advance(1);
    let end = (value: string): void => void value;
    const trial = later('d', () => new Promise<string>((resolve) => (end = resolve)));
    expect(call('e')).toBe('rate_limited 1000');
    end('done');
    expect(await trial).toBe('done');
    expect(seen).toEqual(['all open', 'all half_open']);
    expect(call('e')).toBe('done');
    expect(seen).toEqual(['all open', 'all half_open', 'all closed']);
    expect(call('d')).toBe('done');
    expect(call('e')).toBe('done');
    expect(warnings).toHaveLength(2);
  });

  it('it opens again, for twice the time up to a bound, when trials of two clients fail', () => {
    breakIt();
    for (const openMs of [10_000, 20_000, 40_000, 60_000, 60_000]) {
      clock.advance(60_000);
      expect(call('d', fails)).toBe('failed');
      expect(call('e', fails)).toBe('failed');
      expect(call('f')).toBe(`rate_limited ${openMs}`);
    }
  });

  it('a client whose trial failed leaves the next trials to others, for as long as it was open', () => {
    breakIt();
    clock.advance(5_000);
    expect(call('d', fails)).toBe('failed');
    expect(call('d')).toBe('rate_limited 5000');
    expect(call('e')).toBe('done');
    expect(call('f')).toBe('done');
    expect(seen.at(-1)).toBe('all closed');
  });

  it('where it is the only client it may try again after that time', () => {
    breakIt();
    clock.advance(5_000);
    expect(call('d', fails)).toBe('failed');
    clock.advance(5_000);
    expect(call('d')).toBe('done');
    expect(call('d')).toBe('done');
    expect(seen.at(-1)).toBe('all closed');
  });

  it('what opens after a quiet time is left alone no longer than the first time', () => {
    breakIt();
    clock.advance(5_000);
    for (const client of ['d', 'e']) call(client);
    clock.advance(9_999);
    breakIt();
    expect(call('d')).toBe('rate_limited 10000');
    clock.advance(10_000);
    for (const client of ['d', 'e']) call(client);
    clock.advance(10_000);
    breakIt();
    expect(call('d')).toBe('rate_limited 5000');
  });

  it('to refuse is no failure', () => {
    const refuse = (): never => {
      throw new RealtimeError('forbidden');
    };
    const unavailable = (): never => {
      throw new RealtimeError('timeout', 'My own database took too long');
    };
    for (let round = 0; round < 20; round++)
      for (const client of ['a', 'b', 'c']) call(client, round % 2 === 0 ? refuse : unavailable);
    expect(call('a')).toBe('done');
    expect(seen).toEqual([]);
  });

  it('no answer in time is one, and so is an internal error', async () => {
    const late = (): Promise<never> => Promise.reject(new OverdueError('timeout'));
    const internal = (): Promise<never> => Promise.reject(new RealtimeError('internal'));
    for (const client of ['a', 'b', 'c']) {
      expect(await later(client, late)).toBe('timeout');
      expect(await later(client, internal)).toBe('internal');
    }
    expect(call('d')).toBe('rate_limited 5000');
  });

  it('even an error that is undefined is one', () => {
    const nothing = (): never => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- what an application may do
      throw undefined;
    };
    for (const client of ['a', 'b', 'c', 'a', 'b', 'c']) call(client, nothing);
    expect(call('d')).toBe('rate_limited 5000');
  });

  it('one client whose calls fail is left alone by itself, however often it calls', () => {
    for (let n = 0; n < 4; n++) expect(call('bad', fails)).toBe('failed');
    for (let n = 0; n < 50; n++) expect(call('bad', fails)).toBe('rate_limited 5000');
    expect(seen).toEqual(['one open']);
    for (const client of ['a', 'b']) expect(call(client)).toBe('done');
    expect(call('bad', works, 'rate_limited', {})).toBe('done');
    expect(warnings).toEqual([]);
  });

  it('without that bound it alone does not open the circuit of all', () => {
    start({ clientFailures: 0 });
    for (let n = 0; n < 100; n++) expect(call('bad', fails)).toBe('failed');
    for (let n = 0; n < 100; n++) expect(call('other bad', fails)).toBe('failed');
    expect(call('good')).toBe('done');
    expect(seen).toEqual([]);
  });

  it('several clients whose calls fail do not open it where it works for more', () => {
    start({ clientFailures: 0 });
    for (const client of ['x', 'y', 'z', 'x', 'y']) call(client, fails);
    for (const client of ['a', 'b', 'c', 'd']) expect(call(client)).toBe('done');
    for (let n = 0; n < 50; n++)
      for (const client of ['x', 'y', 'z']) expect(call(client, fails)).toBe('failed');
    expect(seen).toEqual([]);
  });

  it('clients for which it worked before and fails now count as failing', () => {
    for (const client of ['x', 'a', 'b', 'c', 'd']) call(client, client === 'x' ? fails : works);
    for (let n = 0; n < 2; n++) for (const client of ['a', 'b', 'c', 'd']) call(client, fails);
    expect(seen).toEqual(['all open']);
  });

  it('a small share of failures leaves it', () => {
    for (let n = 0; n < 100; n++) call(`good ${n % 5}`);
    breakIt();
    expect(call('a')).toBe('done');
    expect(seen).toEqual([]);
  });

  it('failures of different windows do not add up', () => {
    for (const client of ['a', 'b', 'c']) call(client, fails);
    clock.advance(10_000);
    for (const client of ['a', 'b', 'c']) call(client, fails);
    expect(call('d')).toBe('done');
    for (let n = 0; n < 2; n++) call('e', fails);
    clock.advance(10_000);
    for (let n = 0; n < 2; n++) call('e', fails);
    expect(call('e')).toBe('done');
  });

  it('a call that works in between ends a row of failures', () => {
    for (let n = 0; n < 3; n++) {
      for (let failure = 0; failure < 3; failure++) call('a', fails);
      expect(call('a')).toBe('done');
    }
    expect(seen).toEqual([]);
  });

  it('calls of one client that run at the same time fail as one', async () => {
    const ends: ((error: Error) => void)[] = [];
    const late = (): Promise<never> => new Promise((_, reject) => ends.push(reject));
    for (let round = 0; round < 3; round++) {
      const all = Array.from({ length: 20 }, () => later('a', late));
      for (const end of ends.splice(0)) end(new Error('late'));
      await Promise.all(all);
    }
    expect(seen).toEqual([]);
    expect(call('a', fails)).toBe('failed');
    expect(seen).toEqual(['one open']);
  });

  it('a client is tried too, and one trial that fails leaves it alone for twice as long', () => {
    for (let n = 0; n < 4; n++) call('bad', fails);
    clock.advance(5_000);
    expect(call('bad', fails)).toBe('failed');
    expect(call('bad')).toBe('rate_limited 10000');
    clock.advance(10_000);
    expect(call('bad')).toBe('done');
    expect(call('bad')).toBe('done');
    expect(seen).toEqual(['one open', 'one half_open', 'one open', 'one half_open', 'one closed']);
    expect(circuits.size).toBe(0);
  });

  it('a call that began before it opened says nothing of the trials', async () => {
    let fail = (error: Error): void => void error;
    const early = later('z', () => new Promise((_, reject) => (fail = reject)));
    breakIt();
    clock.advance(5_000);
    const trial = call('d');
    expect(trial).toBe('done');
    fail(new Error('late'));
    expect(await early).toBe('failed');
    expect(call('e')).toBe('done');
    expect(seen.at(-1)).toBe('all closed');
  });

  it('a trial of a client that finds no trial of the handler is given back', async () => {
    for (let n = 0; n < 4; n++) call('bad', fails);
    for (const client of ['a', 'b', 'c', 'a', 'b', 'c']) call(client, fails);
    expect(seen).toEqual(['one open', 'all open']);
    clock.advance(5_000);
    let end = (value: string): void => void value;
    const trial = later('a', () => new Promise<string>((resolve) => (end = resolve)));
    expect(call('bad')).toBe('rate_limited 1000');
    end('done');
    await trial;
    await settle();
    expect(call('bad')).toBe('done');
    expect(call('bad')).toBe('done');
    expect(seen.slice(-2)).toEqual(['all closed', 'one closed']);
  });

  it('nothing is counted where both bounds are 0', () => {
    start({ failures: 0, clientFailures: 0 });
    for (let n = 0; n < 100; n++)
      for (const client of ['a', 'b', 'c']) expect(call(client, fails)).toBe('failed');
    expect(circuits.size).toBe(0);
    expect(seen).toEqual([]);
  });

  it('with no bound for all, one of clients still holds', () => {
    start({ failures: 0 });
    for (let n = 0; n < 3; n++) for (const client of ['a', 'b', 'c']) call(client, fails);
    expect(call('d')).toBe('done');
    call('a', fails);
    expect(call('a')).toBe('rate_limited 5000');
  });

  it('of failing clients no more than 10,000 are kept, whatever their names', () => {
    for (let n = 0; n < 10_050; n++)
      call(`${'x'.repeat(200)} ${n}`, fails, 'rate_limited', n < 10_000 ? {} : handler);
    expect(circuits.size).toBe(10_000);
    for (const key of circuits['failing'].keys()) expect(key.length).toBeLessThanOrEqual(80);
  });

  it('those for which it works are counted to a bound', () => {
    call('a', fails);
    for (let n = 0; n < 300; n++) call(`good ${n}`);
    expect(circuits['circuitOf'](handler, String).healthy.size).toBe(256);
  });
});

import { afterEach, describe, expect, it } from '@jest/globals';
import type { Handshake } from '../../../../lib/core/ports/connection.js';
import type { Refusal } from '../../../../lib/core/ports/transport-host.js';
import { channel, EngineHarness } from '../../../support/engine/harness.js';
import { handshakeOf } from '../../../support/engine/handshake.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

describe('what transports are told of the node', () => {
  it('is its name, and the way to the other nodes', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], { settings: { nodeId: 'node-7' } });
    const { host } = harness.engine;
    expect(host.nodeId).toBe('node-7');
    expect(host.nodes?.nodeId).toBe('node-7');
    expect(await host.nodes?.alive()).toEqual(['node-7']);
  });
});

describe('new connections have their turn of the event loop (P18c, G16)', () => {
  const TURN_MS = 4;
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
  let came: string[];

  async function start(limits: Partial<Parameters<typeof EngineHarness.start>[1] & object> = {}) {
    harness = await EngineHarness.start([channel('rooms.:room')], limits);
    came = [];
    return harness.engine.host;
  }

  function enter(name: string, ip = '1.1.1.1'): Handshake {
    const handshake = handshakeOf({ ip });
    const note = (refusal: Refusal | undefined): void => {
      came.push(refusal === undefined ? name : `${name}: ${refusal.status}`);
      harness.clock.advance(2);
    };
    const turn = harness.engine.host.enter(handshake, 0);
    if (turn instanceof Promise) void turn.then(note);
    else note(turn);
    return handshake;
  }

  it('those that come after the turn was long enough wait, the addresses in turns', async () => {
    await start();
    for (let n = 1; n <= 4; n++) enter(`a${n}`);
    enter('b1', '2.2.2.2');
    expect(came).toEqual(['a1', 'a2']);
    for (const all of [['a3'], ['a3', 'b1'], ['a3', 'b1', 'a4']]) {
      await nextTurn();
      expect(came.slice(2)).toEqual(all);
    }
    await nextTurn();
    enter('a5');
    expect(came.at(-1)).toBe('a5');
  });

  it('one that has left costs nobody a turn', async () => {
    const host = await start();
    enter('a1');
    harness.clock.advance(TURN_MS);
    const gone = [enter('a2'), enter('a3')];
    enter('a4');
    for (const handshake of gone) host.leave(handshake);
    await nextTurn();
    await nextTurn();
    // Those that have left come as they are found, whatever they are told.
    expect(came).toContain('a4');
    expect(harness.engine['parts'].admission['newcomers'].size).toBe(0);
  });

  it('one is refused if the node has filled while it waited', async () => {
    await start({ settings: { limits: { maxConnections: 2 } } });
    enter('a1');
    harness.clock.advance(TURN_MS);
    enter('a2');
    harness.connect();
    harness.connect();
    await nextTurn();
    expect(came).toEqual(['a1', 'a2: 503']);
  });

  it('those that wait count towards the connections of the node', async () => {
    const host = await start({ settings: { limits: { maxConnections: 2 } } });
    enter('a1');
    harness.clock.advance(TURN_MS);
    const handshake = enter('a2');
    expect(host.admit(handshake)).toBeUndefined();
    enter('a3');
    expect(host.admit(handshake)).toMatchObject({ status: 503 });
    host.leave(handshake);
    expect(host.admit(handshake)).toBeUndefined();
    await nextTurn();
  });

  it('a probe does not wait: it is refused for the moment', async () => {
    const host = await start();
    const handshake = enter('a1');
    expect(host.enterAtOnce(handshake)).toBeUndefined();
    harness.clock.advance(TURN_MS);
    expect(host.enterAtOnce(handshake)).toMatchObject({ status: 503, retryAfterMs: 2_000 });
    await nextTurn();
    expect(host.enterAtOnce(handshake)).toBeUndefined();
  });
});

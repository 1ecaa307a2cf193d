import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Codec } from '../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../lib/protocol/codecs/json.js';
import { channel, EngineHarness, quiet } from '../support/engine/harness.js';
import { createPlainVariant, FakeConnection } from '../support/engine/fake-connection.js';

const SUBSCRIBERS = 50;

describe('writes and encodings per turn', () => {
  let harness: EngineHarness;
  let encoded = 0;
  const counting: Codec = {
    ...jsonCodec,
    encode(envelope) {
      if (envelope.type === 'event') encoded += 1;
      return jsonCodec.encode(envelope);
    },
  };

  beforeEach(async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    encoded = 0;
  });
  afterEach(() => harness.stop());

  async function subscribers(channels: readonly string[]): Promise<FakeConnection[]> {
    const variant = createPlainVariant(counting);
    const connections = Array.from({ length: SUBSCRIBERS }, () => new FakeConnection(variant));
    for (const connection of connections) {
      connection.handler = harness.engine.host.open(connection, {});
      connection.send(
        { type: 'hello', id: 'h', payload: { versions: [1] } },
        ...channels.map((name, index) => ({ type: 'subscribe', id: `s${index}`, channel: name })),
      );
    }
    await quiet();
    for (const connection of connections) {
      connection.take();
      connection.frames.length = 0;
    }
    return connections;
  }

  it('ten events of a channel are one write per subscriber, of one shared buffer, with each event encoded once', async () => {
    const connections = await subscribers(['rooms.1']);
    await harness.publish('rooms.1', 10);
    expect(connections.map(({ frames }) => frames.length)).toEqual(Array(SUBSCRIBERS).fill(1));
    expect(new Set(connections.map(({ frames }) => frames[0])).size).toBe(1);
    expect(connections.map((connection) => connection.take('event').length)).toEqual(
      Array(SUBSCRIBERS).fill(10),
    );
    expect(encoded).toBe(10);
  });

  it('events of two channels are one write per subscriber', async () => {
    const connections = await subscribers(['rooms.1', 'rooms.2']);
    await Promise.all([
      harness.engine.application.publish('rooms.1', 'said', 1),
      harness.engine.application.publish('rooms.2', 'said', 2),
    ]);
    await quiet();
    expect(connections.map(({ frames }) => frames.length)).toEqual(Array(SUBSCRIBERS).fill(1));
    expect(connections.map((connection) => connection.take('event').length)).toEqual(
      Array(SUBSCRIBERS).fill(2),
    );
    expect(encoded).toBe(2);
  });

  it('events of two turns are two writes, and two codecs encode twice (control)', async () => {
    const connections = await subscribers(['rooms.1']);
    const others = await subscribers(['rooms.1']);
    await harness.publish('rooms.1');
    await harness.publish('rooms.1');
    expect(connections.map(({ frames }) => frames.length)).toEqual(Array(SUBSCRIBERS).fill(2));
    expect(connections[0]?.frames[0]).not.toBe(others[0]?.frames[0]);
    expect(encoded).toBe(4);
  });
});

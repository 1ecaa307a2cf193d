import { describe, expect, it } from '@jest/globals';
import { assertCapabilities } from '../../../../lib/core/channel/capabilities.js';
import { ChannelPattern } from '../../../../lib/core/channel/pattern.js';
import { ChannelRegistry } from '../../../../lib/core/channel/registry.js';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { channel } from '../../../support/engine/harness.js';

describe('channel registry', () => {
  const registry = new ChannelRegistry([
    channel('rooms.:room'),
    channel('rooms.:room.files.:file'),
    channel('news'),
  ]);

  it('matches a parameter to exactly one segment, and refuses a name that no pattern matches (P23, G9)', () => {
    expect(registry.find('rooms.42')?.params).toEqual({ room: '42' });
    expect(registry.find('rooms.42.files.a:b')?.params).toEqual({ room: '42', file: 'a:b' });
    for (const name of [
      'rooms',
      'rooms.',
      'rooms.1.2',
      'Rooms.42',
      'news.1',
      'rooms..files.x',
      '$user.x',
      ':room',
      '',
    ]) {
      expect(registry.find(name)).toBeUndefined();
    }
    expect(() => registry.resolve('rooms')).toThrow(expect.objectContaining({ code: 'unknown_channel' }));
  });

  it.each([
    ['rooms.:room', 'rooms.lobby'],
    [':a.x', 'y.:b'],
    ['a.b', 'a.b'],
  ])('refuses %s and %s, which match the same names, and names the remedy', (one, two) => {
    expect(() => new ChannelRegistry([channel(one), channel(two)])).toThrow(
      /match the same names.*Make a literal segment differ/,
    );
  });

  it('accepts patterns that only look alike', () => {
    expect(
      () => new ChannelRegistry([channel('rooms.:room.a'), channel('rooms.lobby.b'), channel('rooms.:room')]),
    ).not.toThrow();
  });

  it.each(['', 'a..b', 'a.:', 'a.:1x', 'a b', 'a.:x.:x', '*'])('refuses the pattern %j', (pattern) => {
    expect(() => ChannelPattern.parse(pattern)).toThrow(RangeError);
  });

  it('refuses patterns of reserved names', () => {
    expect(() => new ChannelRegistry([channel('$mine.:x')])).toThrow(/begin with "\$"/);
  });

  it('refuses a channel that needs more than its broker declares, and names the remedy (G1)', () => {
    expect(() =>
      assertCapabilities([channel('rooms.:room', { policy: { durability: 'broker' } })], memoryBroker()),
    ).toThrow(
      'TestChannel: durability of the channel "rooms.:room" is "broker", but the memory broker promises "process". Use a broker that promises more, or ask for less.',
    );
  });
});

import { afterEach, describe, expect, it } from '@jest/globals';
import { repeatsAndBursts } from '../../../lib/moderation/index.js';
import { realtimeHooks } from '../../../lib/hooks/index.js';
import { Authorize, Channel, PublicChannel, type ChannelPolicyGuard } from '../../../lib/nest/index.js';
import { patience } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

@Channel('rooms.:room')
class Rooms {
  @Authorize('subscribe')
  can(): boolean {
    return undefined as never;
  }
}
@Channel('halls.:hall')
class Halls {
  @Authorize('subscribe')
  async can() {
    return null as never;
  }
}
class Policy implements ChannelPolicyGuard {
  subscribe(): boolean {
    return undefined as never;
  }
}
@Authorize(Policy)
@Channel('clubs.:club')
class Clubs {}

@PublicChannel()
@Channel('open')
class Open {}

describe('what the log says to a newcomer', () => {
  let server: TestApp | undefined;
  const start = async (options: AppOptions) => (server = await startApp(PLATFORMS[0][1], options));
  const warnings = (part: string) => server?.logger.at('warn').filter((line) => line.includes(part)) ?? [];
  afterEach(() => server?.close());

  it.each([
    ['rooms', 'Rooms.can returned undefined, which refuses. Return true or false'],
    ['halls', 'Halls.can returned null, which refuses. Return true or false'],
    ['clubs', 'Policy.subscribe returned undefined, which refuses. Return true or false'],
  ])('an authorization of %s that returns nothing refuses, and is named once (G9)', async (name, line) => {
    const { connect } = await start({ providers: [Rooms, Halls, Clubs, Policy] });
    const client = await connect('alice');
    for (const channel of [`${name}.1`, `${name}.2`])
      await expect(client.error({ type: 'subscribe', channel, payload: {} })).resolves.toMatchObject({
        code: 'forbidden',
      });
    expect(warnings(line)).toHaveLength(1);
  });

  it('channels in options that no class has are named once each, with what to do, and others are not', async () => {
    const hooks = realtimeHooks({ channels: ['rooms.:id', 'room.:room', 'open', '$user.:id'] });
    const spam = { detector: repeatsAndBursts(), channels: ['opne', 'rooms.1', 'rooms.:room.log'] };
    const realtime = { hooks, moderation: { spam } };
    await start({ providers: [Rooms, Open], realtime });
    expect(warnings('no @Channel has such a name')).toEqual(
      [
        'hooks.channels[1] is "room.:room"',
        'moderation.spam.channels[0] is "opne"',
        'moderation.spam.channels[2] is "rooms.:room.log"',
      ].map(
        (found) =>
          `${found}, and no @Channel has such a name: it does nothing. Write it as the pattern of a @Channel, or leave it out. | RealtimeModule`,
      ),
    );
    await server?.close();
    // What only publishes may name the channels of the other nodes.
    await start({ realtime: { ...realtime, publisherOnly: true } });
    expect(warnings('no @Channel has such a name')).toEqual([]);
  });

  it('an application that takes clients and has no channel is warned, and one with a channel is not', async () => {
    await start({});
    expect(warnings('No class with @Channel() was found')).toHaveLength(1);
    await server?.close();
    await start({ providers: [Open] });
    expect(warnings('No class with @Channel()')).toEqual([]);
    await server?.close();
    await start({ realtime: { publisherOnly: true } });
    expect(warnings('No class with @Channel()')).toEqual([]);
  });

  it('idle connections that end before those of proxies are named once it listens, where a proxy is named', async () => {
    await start({ providers: [Open], realtime: { trustProxy: 1 } });
    await until('the warning', () => warnings('keepAliveTimeout = 65_000').length === 1, patience(10_000));
  });
});

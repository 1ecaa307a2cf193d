import { describe, expect, it } from '@jest/globals';
import { Test } from '@nestjs/testing';
import {
  Authorize,
  Channel,
  ChannelParam,
  OnRequest,
  OnSubscribe,
  PublicChannel,
  RealtimeModule,
  type ChannelPolicyGuard,
} from '../../../../lib/nest/index.js';

// Mistakes that types would have caught, of JavaScript or of a value that an environment variable should have had, and what
// was forgotten.

const untyped = <T>(value: unknown): T => value as T;

async function boot(provider: new () => object): Promise<void> {
  const builder = Test.createTestingModule({ imports: [RealtimeModule.forRoot()], providers: [provider] });
  const module = await builder.setLogger(false as never).compile();
  await module.init().finally(() => module.close());
}

describe('boot errors of untyped or missing settings', () => {
  it.each([undefined, null, 5, ['rooms']])(
    'a pattern that is not a string is refused: %j (G9)',
    async (pattern) => {
      @PublicChannel()
      @Channel(untyped(pattern))
      class Rooms {}
      await expect(boot(Rooms)).rejects.toThrow(
        '- Rooms: its pattern is not a string. Give one such as @Channel("rooms.:room"). Is an environment variable set?',
      );
    },
  );

  it('a parameter that its pattern does not have is refused', async () => {
    @PublicChannel()
    @Channel('rooms')
    class Rooms {
      @OnRequest('where')
      where(@ChannelParam('room') room: string) {
        return room;
      }
    }
    await expect(boot(Rooms)).rejects.toThrow(
      '- Rooms.where: takes @ChannelParam(\'room\'), which "rooms" does not have. Write it into the pattern as ":room", or remove the parameter.',
    );
  });

  it('a class with handlers or policies and no channel is refused (G9)', async () => {
    class Policy implements ChannelPolicyGuard {
      subscribe = () => true;
    }
    class ByMethod {
      @OnSubscribe()
      joined() {}
    }
    @PublicChannel()
    class ByClass {}
    @Authorize(Policy)
    class ByPolicy {}
    class Inherited extends ByMethod {}
    for (const type of [ByMethod, ByClass, ByPolicy, Inherited]) {
      await expect(boot(type)).rejects.toThrow(
        `- ${type.name}: has decorators of a channel, but no @Channel(). Add @Channel(pattern) to the class, or remove them.`,
      );
    }
    class Ordinary {
      joined() {}
    }
    await expect(boot(Ordinary)).resolves.toBeUndefined();
  });

  it('forRootAsync without anything that creates the options is refused', () => {
    expect(() => RealtimeModule.forRootAsync({})).toThrow(
      '- forRootAsync: has nothing that makes the options. Give useFactory, or a class in useClass or useExisting.',
    );
    expect(() => RealtimeModule.forRootAsync({ useFactory: untyped(undefined) })).toThrow('forRootAsync');
    expect(() => RealtimeModule.forRootAsync({ useFactory: () => ({}) })).not.toThrow();
  });
});

import { afterEach, describe, expect, it } from '@jest/globals';
import { memorySink } from '../../../lib/audit/index.js';
import { repeatsAndBursts } from '../../../lib/moderation/index.js';
import { Authorize, Channel, OnPublish, PublicChannel, RealtimeService } from '../../../lib/nest/index.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import type { WireClient } from '../../support/wire/client.js';
import { byName, PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

@Channel('rooms.:room')
@PublicChannel()
class Rooms {
  @Authorize('publish')
  can() {
    return true;
  }
  @OnPublish('said')
  said() {}
}

let running: TestApp | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

async function start(moderation: unknown, audit?: RealtimeModuleOptions['audit']): Promise<RealtimeService> {
  const [, platform] = PLATFORMS[0];
  running = await startApp(platform, {
    providers: [Rooms],
    realtime: {
      auth: byName,
      moderation: moderation as NonNullable<RealtimeModuleOptions['moderation']>,
      ...(audit === undefined ? {} : { audit }),
    },
  });
  return running.app.get(RealtimeService);
}

let ids = 0;
/** @returns the answer in words. */
async function say(client: WireClient, text: string): Promise<string> {
  const id = `p${++ids}`;
  client.send({ type: 'publish', id, channel: 'rooms.1', event: 'said', payload: { text } });
  for (;;) {
    const answer = await client.next();
    if (answer.ref !== id) continue;
    const { code, reason } = answer.payload as { code?: string; reason?: string };
    return answer.type === 'reply' ? 'ok' : [code, reason].join(' ');
  }
}

const TEXT = 'buy cheap followers now, best prices, hunter2-in-a-message';

describe('moderation.spam', () => {
  it('refuses a flood, restricts its user, and has each step once in the audit (P33a, G26, G31)', async () => {
    const realtime = await start(
      {
        spam: { detector: repeatsAndBursts(), steps: [{ step: 'warn' }, { step: 'mute', for: '10m' }] },
        isExempt: (user: { id: string }) => user.id === 'mod',
      },
      { sinks: [memorySink()] },
    );
    const client = await running?.connect('alice');
    const mod = await running?.connect('mod');
    if (client === undefined || mod === undefined) throw new Error('not connected');
    const outcomes: string[] = [];
    for (let index = 0; index < 5; index++) {
      outcomes.push(await say(client, `${TEXT} ${index}`));
      expect(await say(mod, TEXT)).toBe('ok');
    }
    expect(outcomes).toEqual(['ok', 'ok', 'ok', 'refused spam_warning', 'refused spam']);
    const { entries } = await realtime.audit.list();
    expect(entries).toMatchObject([
      {
        act: 'warn',
        by: 'spam',
        whom: { of: 'user', id: 'alice' },
        channel: 'rooms.1',
        data: { strikes: 1 },
      },
    ]);
    expect(JSON.stringify(entries)).not.toContain('hunter2');
    const warned = running?.logger.at('warn').filter((line) => line.includes('spam')) ?? [];
    expect(warned).toHaveLength(1);
    expect(warned[0]).toContain('"user":"alice"');
    expect(warned[0]).not.toMatch(/hunter2|rooms\.1/);
  });

  it('has a mute in the audit and in restrictions, and lift ends it (G26, G31)', async () => {
    const realtime = await start({
      spam: { detector: { judge: () => 'escalate' }, steps: [{ step: 'mute', for: '10m' }] },
    });
    const client = await running?.connect('alice');
    if (client === undefined) throw new Error('not connected');
    expect(await say(client, 'x')).toBe('muted spam');
    expect(await say(client, 'x')).toBe('muted ');
    const { restrictions } = realtime.moderation.restrictions({ user: 'alice' });
    expect(restrictions).toMatchObject([{ act: 'mute', by: 'spam', reason: 'strike 1' }]);
    await realtime.moderation.lift('mute', { user: 'alice' }, { by: 'root' });
    expect(await say(client, 'x')).toBe('refused spam');
    const { entries } = await realtime.audit.list();
    expect(entries).toMatchObject([
      { act: 'unmute', by: 'root' },
      { act: 'mute', by: 'spam', result: 'applied', data: { forMs: 600_000 } },
    ]);
  });

  it('judges nothing where it is not set', async () => {
    await start({});
    const client = await running?.connect('alice');
    if (client === undefined) throw new Error('not connected');
    for (let index = 0; index < 20; index++) expect(await say(client, TEXT)).toBe('ok');
  });

  const detector = { judge: () => 'allow' };
  it.each<[unknown, RegExp]>([
    [{}, /moderation\.spam\.detector: is not a detector/],
    [{ detector: repeatsAndBursts }, /moderation\.spam\.detector: is not a detector/],
    [{ detector, channels: [] }, /moderation\.spam\.channels: is not a list of channels/],
    [{ detector, channels: ['a..b'] }, /moderation\.spam\.channels: is not a list of channels/],
    [{ detector, steps: [] }, /moderation\.spam\.steps: is not a list of steps/],
    [{ detector, steps: [{ step: 'mute' }] }, /moderation\.spam\.steps/],
    [{ detector, steps: [{ step: 'warn', for: '1m' }] }, /moderation\.spam\.steps/],
    [{ detector, steps: [{ step: 'slow', for: '1m' }] }, /moderation\.spam\.steps/],
    [{ detector, steps: [{ step: 'slow', every: '2d', for: '1m' }] }, /moderation\.spam\.steps/],
    [{ detector, steps: [{ step: 'ban', for: 0 }] }, /moderation\.spam\.steps/],
    [{ detector, steps: [{ step: 'mute', fro: '1m', for: '1m' }] }, /moderation\.spam\.steps/],
    [{ detector, steps: [{ step: 'kick', for: '1m' }] }, /moderation\.spam\.steps/],
    [{ detector, decay: 10 }, /moderation\.spam\.decay/],
    [{ detector, onFailure: 'pass' }, /moderation\.spam\.onFailure/],
    [{ detectors: 1, detector }, /moderation\.spam\.detectors: is not an option. Did you mean "detector"/],
  ])('fails at boot for the options %#', async (spam, message) => {
    await expect(start({ spam })).rejects.toThrow(message);
  });
});

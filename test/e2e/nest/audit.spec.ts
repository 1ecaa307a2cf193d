import { afterEach, describe, expect, it } from '@jest/globals';
import {
  logSink,
  memorySink,
  type AuditEntry,
  type AuditSink,
  type Observer,
} from '../../../lib/audit/index.js';
import { TimeLeft } from '../../../lib/core/async/time-left.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { Authorize, Channel, OnPublish, RealtimeRuntime, RealtimeService } from '../../../lib/nest/index.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import { elapse } from '../../support/patience.js';
import { byName, PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

@Channel('rooms.:room')
class Rooms {
  @Authorize('subscribe')
  mayRead() {
    return true;
  }
  @Authorize('publish')
  mayWrite() {
    return false;
  }
  @OnPublish('said')
  said() {}
}

let running: TestApp | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

async function start(realtime: Partial<RealtimeModuleOptions> = {}): Promise<RealtimeService> {
  const [, platform] = PLATFORMS[0];
  running = await startApp(platform, { providers: [Rooms], realtime: { auth: byName, ...realtime } });
  return running.app.get(RealtimeService);
}

describe('realtime.audit', () => {
  it('lists administrative acts without any option (G26)', async () => {
    const realtime = await start();
    await realtime.user('u1').ban({ for: '1h', reason: 'spam', by: 'root' });
    realtime.audit.record({ act: 'close_room', by: 'root', channel: 'rooms.1', data: { why: ['old'] } });
    const { entries, more } = await realtime.audit.list();
    expect(more).toBeUndefined();
    expect(entries).toMatchObject([
      { act: 'close_room', by: 'root', channel: 'rooms.1', result: 'applied', data: { why: ['old'] } },
      { act: 'ban', by: 'root', whom: { of: 'user', id: 'u1' }, reason: 'spam', data: { forMs: 3_600_000 } },
    ]);
    expect((await realtime.audit.list({ act: 'ban' }, { limit: 1 })).entries).toHaveLength(1);
  });

  it('has who was forbidden to publish, and no token and no payload (G23)', async () => {
    const lines: string[] = [];
    const realtime = await start({
      audit: { sinks: [logSink({ write: (line) => lines.push(line) }), memorySink()] },
    });
    const client = await running?.connect('token-of-alice');
    client?.send({ type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said', payload: 'secret-payload' });
    expect((await client?.next('error'))?.payload).toMatchObject({ code: 'forbidden' });
    const { entries } = await realtime.audit.list({ act: 'authorize' });
    expect(entries).toMatchObject([{ channel: 'rooms.1', result: 'refused', error: 'forbidden' }]);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([...entries]);
    expect(lines.join('\n')).not.toContain('secret-payload');
  });

  it('hands over what waits when the application ends', async () => {
    const taken: string[] = [];
    let isClosed = false;
    const sink: AuditSink = {
      write: ({ act }: AuditEntry) =>
        new Promise<void>((resolve) =>
          setImmediate(() => {
            taken.push(act);
            resolve();
          }),
        ),
      close: () => void (isClosed = true),
    };
    const realtime = await start({ audit: { sinks: [sink] } });
    for (const act of ['a', 'b', 'c']) realtime.audit.record({ act });
    await running?.close();
    running = undefined;
    expect(taken).toEqual(['a', 'b', 'c']);
    expect(isClosed).toBe(true);
  });

  it('a slow sink has the time of the shutdown, however short that of the clients is (G18)', async () => {
    const taken: string[] = [];
    const sink: AuditSink = {
      write: async ({ act }: AuditEntry) => {
        await elapse(50);
        taken.push(act);
      },
      close: () => undefined,
    };
    const realtime = await start({ audit: { sinks: [sink] }, drain: { deadline: 0, spread: 0 } });
    // More than a second takes.
    for (let n = 0; n < 40; n++) realtime.audit.record({ act: `act-${n}` });
    await running?.close();
    running = undefined;
    expect(taken).toHaveLength(40);
  });

  it('a sink has a second also where the rest of the application took all the time (G18)', async () => {
    const taken: string[] = [];
    const sink: AuditSink = {
      write: async ({ act }: AuditEntry) => {
        await elapse(50);
        taken.push(act);
      },
    };
    const realtime = await start({ audit: { sinks: [sink] } });
    for (const act of ['a', 'b', 'c']) realtime.audit.record({ act });
    // What its own hooks of the shutdown took.
    Object.assign(running?.app.get(RealtimeRuntime) as object, { shutdown: new TimeLeft(systemClock, 0) });
    await running?.close();
    running = undefined;
    expect(taken).toEqual(['a', 'b', 'c']);
  });

  it.each([
    [{}, /act must be/],
    [{ act: '' }, /act must be/],
    [{ act: 'x'.repeat(65) }, /act must be/],
    [{ act: 'x', reson: 'y' }, /there is no reson/],
    [{ act: 'x', by: 7 }, /by must be/],
    [{ act: 'x', reason: 'r'.repeat(1_025) }, /reason must be/],
    [{ act: 'x', whom: { of: 'team', id: '1' } }, /whom must be/],
    [{ act: 'x', result: 'done' }, /result must be/],
    [{ act: 'x', data: { long: 'x'.repeat(4_096) } }, /data must be/],
    [{ act: 'x', data: 'text' }, /data must be/],
    [{ act: 'x', data: { big: 1n } }, /data must be/],
  ])('refuses the record %#', async (draft, message) => {
    const realtime = await start();
    expect(() => realtime.audit.record(draft as never)).toThrow(message);
    expect((await realtime.audit.list()).entries).toEqual([]);
  });

  it('keeps what was recorded, whatever becomes of the object', async () => {
    const realtime = await start();
    const data = { rooms: ['1'] };
    const whom = { of: 'user' as const, id: 'u1' };
    realtime.audit.record({ act: 'x', data, whom });
    data.rooms.push('2');
    whom.id = 'u2';
    const [entry] = (await realtime.audit.list()).entries;
    expect([entry?.data, entry?.whom?.id]).toEqual([{ rooms: ['1'] }, 'u1']);
  });

  it.each([
    [[{ acts: 'ban' }, {}], /there is no acts/],
    [[{ act: 7 }, {}], /act must be/],
    [[{}, { limit: 0 }], /limit must be/],
    [[{}, { limit: 1_001 }], /limit must be/],
    [[{}, { cursor: 7 }], /cursor must be/],
  ])('refuses the list %#', async (given, message) => {
    const realtime = await start();
    await expect(realtime.audit.list(...(given as [never, never]))).rejects.toThrow(message);
  });

  it.each<[Record<string, unknown>, RegExp]>([
    [{ audit: { sinks: [{}] } }, /audit\.sinks: is not a list of sinks/],
    [{ audit: { sink: [] } }, /audit\.sink: is not an option. Did you mean "sinks"/],
    [{ audit: { maxQueued: 1 } }, /audit\.maxQueued/],
    [{ audit: { refusalsPerMinute: -1 } }, /audit\.refusalsPerMinute/],
    [{ observers: [class {}] }, /observers: is not a list of observers/],
  ])('fails at boot for the options %#', async (realtime, message) => {
    await expect(start(realtime)).rejects.toThrow(message);
  });
});

describe('observers of the application', () => {
  it('are notified beside the audit', async () => {
    const acts: unknown[] = [];
    const observer: Observer = { onAct: (act, receipt) => acts.push([act.kind, receipt?.missing]) };
    const realtime = await start({ observers: [observer] });
    await realtime.user('u1').disconnect();
    expect(acts).toEqual([['disconnect', []]]);
    expect((await realtime.audit.list()).entries).toHaveLength(1);
  });
});

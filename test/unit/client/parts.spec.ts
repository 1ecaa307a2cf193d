import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { WebSocket as NodeWebSocket } from 'ws';
import { Backoff, DEFAULT_RETRY } from '../../../lib/client/backoff.js';
import { ChannelListeners } from '../../../lib/client/channel/listeners.js';
import type { ClientChannels } from '../../../lib/client/channel/channels.js';
import { systemClientClock } from '../../../lib/client/clock.js';
import { settingsOf, uuidv7 } from '../../../lib/client/options.js';
import { decide } from '../../../lib/client/connection/reconnect-policy.js';
import { bytesOf, batchFrames } from '../../../lib/client/connection/frames.js';
import { readWelcome } from '../../../lib/client/connection/handshake.js';
import { errorOfClosed } from '../../../lib/client/errors.js';
import * as entry from '../../../lib/client/index.js';
import { RealtimeClient } from '../../../lib/client/realtime-client.js';
import { Pacer } from '../../../lib/client/pacer.js';
import type { ClientFetch } from '../../../lib/client/transport/probe.js';
import { endpointsOf, type WebSocketConstructor } from '../../../lib/client/transport/websocket.js';
import { CLOSE_CODES } from '../../../lib/protocol/close-codes.js';
import type { Codec, Encoded } from '../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../lib/protocol/codecs/msgpack.js';
import { ManualClock, settle } from '../../support/engine/manual-clock.js';
import fc from '../../support/property.js';

afterEach(() => {
  jest.restoreAllMocks();
});

describe('endpoints', () => {
  it.each([
    ['https://example.com/realtime', 'wss://example.com/realtime', 'https://example.com/realtime'],
    [
      'http://localhost:3000/realtime?tenant=a#x',
      'ws://localhost:3000/realtime?tenant=a',
      'http://localhost:3000/realtime?tenant=a',
    ],
    ['wss://example.com/', 'wss://example.com/', 'https://example.com/'],
    ['ws://[::1]:80/r', 'ws://[::1]/r', 'http://[::1]/r'],
  ])('%s', (url, socket, http) => {
    const found = endpointsOf(url);
    // Default ports are written or not, depending on the scheme at hand; both mean the same.
    expect(new URL(found.socket).href).toBe(new URL(socket).href);
    expect(new URL(found.http).href).toBe(new URL(http).href);
  });

  it('the error for an invalid endpoint names a valid form', () => {
    expect(() => endpointsOf('/realtime')).toThrow(/https:\/\/example.com\/realtime/);
    expect(() => endpointsOf('ftp://example.com')).toThrow(/http, https, ws or wss/);
  });
});

describe('options of the client', () => {
  it('the error for a wrong option names it', () => {
    expect(() => settingsOf({ connectTimeoutMs: 0 })).toThrow(/"connectTimeoutMs"/);
    expect(() => settingsOf({ maxPresenceMembers: NaN })).toThrow(/"maxPresenceMembers"/);
    expect(settingsOf({}).maxPresenceMembers).toBe(10_000);
    // It would be asked for for ever: to the client a provider that throws is a log-in service that is away.
    expect(() => settingsOf({ token: 'eyJh' as never })).toThrow(
      new TypeError('The option "token" must be a function: token: () => token'),
    );
  });

  it('the options accept the WebSocket of ws and of the platform, and the platform’s fetch', () => {
    // Checked by the compiler: Node 20 has no WebSocket of its own.
    const classes: (platform: typeof WebSocket) => WebSocketConstructor[] = (platform) => [
      NodeWebSocket,
      platform,
    ];
    const taken: ClientFetch = fetch;
    expect([classes, taken]).toHaveLength(2);
  });
});

describe('ids', () => {
  it('ids are UUIDv7: unique, and in the order of time', () => {
    jest.spyOn(Date, 'now').mockReturnValue(0x0199_1234_5678);
    const made = new Set(Array.from({ length: 1_000 }, uuidv7));
    expect(made.size).toBe(1_000);
    for (const id of made) expect(id).toMatch(/^01991234-5678-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe('the clock', () => {
  it('never goes back, and counts the time that the machine was suspended (P17)', () => {
    let wall = 1_000_000;
    let steady = 5_000;
    jest.spyOn(Date, 'now').mockImplementation(() => wall);
    jest.spyOn(performance, 'now').mockImplementation(() => steady);
    const clock = systemClientClock();
    const start = clock.monotonic();
    const passed = (): number => clock.monotonic() - start;
    steady += 500.5;
    wall += 500;
    expect(passed()).toBe(500.5);
    // Somebody sets the wall clock back by an hour.
    wall -= 3_600_000;
    steady += 10;
    expect(passed()).toBe(510.5);
    // The machine sleeps for a minute.
    wall += 60_000;
    expect(passed()).toBe(60_510.5);
    // Rounding of the two clocks does not add up.
    for (let n = 0; n < 1_000; n++) {
      steady += 0.4;
      wall += n % 2;
      clock.monotonic();
    }
    expect(passed()).toBeCloseTo(60_910.5);
  });

  it('counts many short sleeps, none of which could be told from the corrections of NTP (P17)', () => {
    let wall = 1_000_000;
    let steady = 5_000;
    jest.spyOn(Date, 'now').mockImplementation(() => wall);
    jest.spyOn(performance, 'now').mockImplementation(() => steady);
    const clock = systemClientClock();
    const start = clock.monotonic();
    for (let n = 0; n < 100; n++) {
      steady += 100;
      wall += 100 + 900;
      clock.monotonic();
    }
    const passed = clock.monotonic() - start;
    expect(passed).toBeGreaterThan(99_000 - 1);
    expect(passed).toBeLessThanOrEqual(100_000);
  });

  it('an hour forth and back of the wall clock costs an hour at most, and nothing when it is set back first', () => {
    let wall = 1_000_000;
    let steady = 5_000;
    jest.spyOn(Date, 'now').mockImplementation(() => wall);
    jest.spyOn(performance, 'now').mockImplementation(() => steady);
    const clock = systemClientClock();
    const start = clock.monotonic();
    for (const jump of [-3_600_000, 0, -3_600_000]) {
      [wall, steady] = [wall + jump + 10, steady + 10];
      clock.monotonic();
    }
    expect(clock.monotonic() - start).toBe(30);
    for (const jump of [3_600_000, -3_600_000]) {
      [wall, steady] = [wall + jump + 10, steady + 10];
      clock.monotonic();
    }
    expect(clock.monotonic() - start).toBe(3_600_050);
  });

  it('runs and cancels tasks, and accepts delays longer than those of timers', async () => {
    const clock = systemClientClock();
    const ran: string[] = [];
    clock.schedule(-1, () => ran.push('a'));
    clock.schedule(0, () => ran.push('b')).cancel();
    const far = clock.schedule(1e12, () => ran.push('c'));
    // Due behind all of them.
    await new Promise<void>((resolve) => clock.schedule(5, resolve));
    far.cancel();
    expect(ran).toEqual(['a']);
  });
});

describe('the pacer (P17)', () => {
  it('the pacer never gives more than rate × time plus one second’s worth (property) (P17)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.array(
          fc.record({ wait: fc.integer({ min: 0, max: 2_000 }), tries: fc.integer({ min: 0, max: 50 }) }),
        ),
        (rate, steps) => {
          const clock = new ManualClock();
          const pacer = new Pacer(clock);
          pacer.adopt(rate);
          const began = clock.monotonic();
          let taken = 0;
          for (const { wait, tries } of steps) {
            clock.advance(wait);
            for (let n = 0; n < tries; n++) if (pacer.take()) taken++;
            expect(taken).toBeLessThanOrEqual(rate + (rate * (clock.monotonic() - began)) / 1_000 + 1e-6);
            clock.advance(pacer.waitMs);
            expect(pacer.waitMs).toBe(0);
          }
        },
      ),
    );
  });

  it('gives a token to every caller that waited waitMs, despite fractions', () => {
    const clock = new ManualClock();
    const pacer = new Pacer(clock);
    pacer.adopt(3);
    const takeAndWait = (count: number): void => {
      for (let n = 0; n < count; n++) pacer.take();
      clock.advance(pacer.waitMs);
      expect(pacer.waitMs).toBe(0);
    };
    takeAndWait(3);
    takeAndWait(1);
    clock.advance(145);
    takeAndWait(1);
    expect(pacer.take()).toBe(true);
  });

  it('has a bounded debt, and no limit at a rate of 0', () => {
    const clock = new ManualClock();
    const pacer = new Pacer(clock);
    pacer.adopt(10);
    for (let n = 0; n < 1_000; n++) pacer.spend();
    expect(pacer.waitMs).toBe(1_100);
    pacer.adopt(0);
    for (let n = 0; n < 1_000; n++) expect(pacer.take()).toBe(true);
  });
});

describe('the outbox of the client (P4)', () => {
  it.each<[string, Codec]>([
    ['json', jsonCodec],
    ['msgpack', msgpackCodec],
  ])('sends everything in order in %s frames within the limits (property) (P4)', async (_, codec) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ maxLength: 40, unit: 'binary' }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        async (texts, maxEnvelopesPerFrame) => {
          const frames: Encoded[] = [];
          const limits = { maxFrameBytes: 600, maxMessageBytes: 500, maxEnvelopesPerFrame };
          const batcher = batchFrames(codec, limits, (frame) => frames.push(frame));
          texts.forEach((text, index) => batcher.add({ type: 'request', id: `id${index}`, payload: text }));
          await settle();
          const decoded = frames.flatMap((frame) => codec.decode(frame, limits)) as { payload: unknown }[];
          expect(decoded.map(({ payload }) => payload)).toEqual(texts);
          for (const frame of frames) expect(bytesOf(frame)).toBeLessThanOrEqual(600);
        },
      ),
    );
  });

  it('counts bytes as encoded in UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(bytesOf(text)).toBe(new TextEncoder().encode(text).byteLength);
      }),
    );
  });
});

describe('reading welcome', () => {
  it('falls back to defaults for missing or invalid numbers, and ignores other fields (P6)', () => {
    const welcome = readWelcome({
      retry: { baseMs: -1, maxMs: 'x', firstSpreadMs: 3 },
      limits: { maxFrameBytes: null },
      tokenExpiresInMs: NaN,
      more: true,
    });
    expect(welcome).toMatchObject({ version: 1, retry: { baseMs: 500, maxMs: 20_000, firstSpreadMs: 3 } });
    expect(welcome.limits.maxFrameBytes).toBe(262_144);
    expect(welcome).not.toHaveProperty('tokenExpiresInMs');
    expect(readWelcome(undefined).heartbeat.intervalMs).toBe(25_000);
  });
});

describe('the decision after a close (protocol §7)', () => {
  const end = { reason: '', opened: true, welcomed: true };
  const credentials = { renewable: true, fresh: false };

  it('stays closed after 1000, stops on 4800–4999 unless another token may help, and reconnects otherwise (property)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 4999 }),
        fc.boolean(),
        fc.boolean(),
        (code, renewable, fresh) => {
          const { action } = decide({ ...end, code }, { renewable, fresh });
          const expected =
            code === 1000
              ? 'closed'
              : code >= 4800 && !(code === 4801 && renewable && !fresh)
                ? 'stop'
                : 'retry';
          expect(action).toBe(expected);
        },
      ),
    );
  });

  it('takes advice from bye before the close reason, and treats 0 in a reason as no advice', () => {
    const bye = { code: 4001, retryAfterMs: 5, spreadMs: 6 };
    expect(decide({ ...end, code: 4001, reason: 'drain|9', bye }, credentials).advice).toEqual({
      retryAfterMs: 5,
      spreadMs: 6,
    });
    expect(decide({ ...end, code: 4001, reason: 'drain|9' }, credentials).advice).toEqual({
      retryAfterMs: 9,
    });
    expect(decide({ ...end, code: 4001, reason: 'drain|0' }, credentials).advice).toBeUndefined();
    expect(decide({ ...end, code: 1001, reason: 'proxy restarts' }, credentials).reason).toBe(
      'proxy restarts',
    );
  });
});

describe('the error of what waits when the client is closed', () => {
  it.each([
    ['normal', 'unavailable'],
    ['superseded', 'unavailable'],
    ['unauthorized', 'unauthorized'],
    ['forbidden', 'forbidden'],
    ['banned', 'banned'],
    ['kicked', 'forbidden'],
    ['unsupported_version', 'bad_request'],
    ['protocol_error', 'bad_request'],
    ['message_too_large', 'message_too_large'],
    ['rate_abuse', 'rate_limited'],
  ] as const)('has for %s the code %s', (name, code) => {
    const { code: number } = CLOSE_CODES[name];
    const error = errorOfClosed({ state: 'closed', name, code: number });
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(`(${number})`)]);
  });
});

describe('listeners of a channel', () => {
  it('warn once of what nobody hears, and of names that cannot be right', () => {
    const warnings: string[] = [];
    const listeners = new ChannelListeners(
      () => undefined,
      () => undefined,
      (message) => warnings.push(message),
    );
    const event = { id: '1', channel: 'r', event: 'said', payload: 1, seq: 1, epoch: 'e', ts: 1 };
    const gap = {
      epoch: 'e',
      from: 1,
      to: 2,
      reason: 'expired',
      partial: false,
      recoverable: false,
    } as const;
    for (const _ of [1, 2]) {
      listeners.event(event);
      listeners.signal({ channel: 'r', event: 'typing', payload: 1 });
      listeners.library('gap', gap);
      listeners.library('resumed', { epoch: 'e', seq: 1 });
      listeners.on('Gap', () => undefined);
      listeners.on('', () => undefined);
      listeners.on(undefined as never, () => undefined);
    }
    expect(warnings).toEqual([
      'nobody listens to the event "said"',
      'nobody listens to the signal "typing" (onSignal)',
      'nobody listens to "gap" or "recovered"',
      'is "gap" meant by "Gap"?',
      '"" is no event: use 1 to 128 characters',
      '"undefined" is no event: use 1 to 128 characters',
    ]);
    warnings.length = 0;
    listeners.on('heard', () => undefined);
    listeners.on('recovered', () => undefined);
    listeners.on('signal', () => undefined);
    listeners.event({ ...event, event: 'heard' });
    listeners.library('lost', { position: { epoch: 'e', seq: 1 }, recovery: 'lost' });
    listeners.signal({ channel: 'r', event: 'other', payload: 1 });
    listeners.on('*', () => undefined);
    listeners.event({ ...event, event: 'any' });
    for (let n = 0; n < 200; n++) listeners.on(`Gap${' '.repeat(n)}`, () => undefined);
    expect(warnings).toHaveLength(100 - 6);
  });

  it('report use while there is at least one', () => {
    const uses: number[] = [];
    const listeners = new ChannelListeners(
      () => undefined,
      () => uses.push(listeners.size),
      () => undefined,
    );
    const presence = (): void => undefined;
    const off = listeners.on('gap', () => undefined);
    listeners.add('event', 'gap', () => undefined)();
    listeners.add('presence', 'change', presence);
    off();
    listeners.off('change', presence, ['presence']);
    expect(uses).toEqual([1, 2, 1, 2, 1, 0]);
  });

  it('an application event named as the event of presence has listeners of its own', () => {
    const client = new RealtimeClient('http://localhost/realtime', { webSocket: NodeWebSocket });
    const room = client.channel('rooms.1');
    const { channels } = client as unknown as { channels: ClientChannels };
    const listener = (): void => undefined;
    room.on('change', listener);
    room.presence.on('change', listener);
    room.presence.off('change', listener);
    expect(channels.find('rooms.1')?.listeners.size).toBe(1);
    room.presence.on('change', listener);
    room.off('change', listener);
    expect(channels.find('rooms.1')?.listeners.size).toBe(1);
  });
});

describe('the retries of a channel (P19)', () => {
  it('delays grow while the subscription does not last, and restart after it lasted (P19)', () => {
    const clock = new ManualClock();
    const retry = new Backoff({ clock, random: () => 1, retry: () => DEFAULT_RETRY });
    const delays: number[] = [];
    for (const lasted of [0, 9_999, 9_999, 10_000, 0]) {
      retry.began();
      clock.advance(lasted);
      delays.push(retry.next());
      retry.ended();
      clock.advance(60_000);
    }
    expect(delays).toEqual([500, 1_000, 2_000, 500, 1_000]);
  });
});

describe('the channel registry of the client', () => {
  it('keeps channels that are subscribed or listened to, and a thousand of the others', () => {
    const client = new RealtimeClient('http://localhost/realtime', { webSocket: NodeWebSocket });
    const { channels } = client as unknown as { channels: ClientChannels };
    const offs = Array.from({ length: 3_000 }, (_, n) =>
      client.channel(`rooms.${n}`).on('tick', () => undefined),
    );
    expect(channels.all).toHaveLength(3_000);
    for (const off of offs) off();
    expect(channels.all).toHaveLength(1_000);
    for (let n = 0; n < 3_000; n++) client.channel(`halls.${n}`);
    expect(channels.all).toHaveLength(1_000);
  });
});

describe('the entry point of the client', () => {
  it('exports what an application needs, without MessagePack', () => {
    expect(Object.keys(entry).sort()).toEqual([
      'CLOSE_CODES',
      'ERROR_CODES',
      'RealtimeClient',
      'RealtimeError',
      'jsonCodec',
    ]);
  });
});

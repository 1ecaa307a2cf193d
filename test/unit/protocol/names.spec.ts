import { describe, expect, it } from '@jest/globals';
import { isChannelName, userChannel } from '../../../lib/protocol/channel-name.js';
import {
  CLOSE_CODES,
  closeActionOf,
  closeNameOf,
  closeReason,
  parseCloseReason,
} from '../../../lib/protocol/close-codes.js';
import { offerSubprotocols, readSubprotocols, selectCodec } from '../../../lib/protocol/subprotocol.js';
import { jsonCodec } from '../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../lib/protocol/codecs/msgpack.js';
import fc from '../../support/property.js';

describe('channel names', () => {
  it.each(['a', 'rooms.42', 'Rooms.42', 'user:7.a-b_c@d~e', '$user.u7', 'x'.repeat(200)])(
    '%s is accepted as a channel name (P23)',
    (name) => {
      expect(isChannelName(name)).toBe(true);
    },
  );

  it.each([
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a b',
    'a/b',
    'a$b',
    '$',
    '$.a',
    'é',
    'a\n',
    'a\u0000',
    'x'.repeat(201),
    7,
    null,
  ])('%j is refused as a channel name (P23)', (name) => {
    expect(isChannelName(name)).toBe(false);
  });

  it('a hostile channel name is checked in one pass (P23)', () => {
    const started = process.hrtime.bigint();
    for (let index = 0; index < 1_000; index++) isChannelName(`${'a.'.repeat(99)}!`);
    // A pattern that tries every way to cut a name would take longer than the universe has.
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(5_000);
  });

  it('the own channels of two users are valid and different', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, maxLength: 30 }),
        fc.string({ minLength: 1, maxLength: 30 }),
        (one, two) => {
          // Lone surrogates are no text: both become U+FFFD in UTF-8, as everywhere on the wire.
          fc.pre([one, two].every((text) => Buffer.from(text).toString() === text));
          expect(isChannelName(userChannel(one))).toBe(true);
          expect(userChannel(one) === userChannel(two)).toBe(one === two);
        },
      ),
    );
    expect(() => userChannel('')).toThrow(RangeError);
    expect(() => userChannel('é'.repeat(100))).toThrow('shorter stable id');
  });
});

describe('close codes', () => {
  it('a close code determines by its number whether to reconnect', () => {
    const actions = Object.values(CLOSE_CODES).map(({ code }) => [code, closeActionOf(code)]);
    expect(Object.fromEntries(actions)).toEqual({
      1000: 'stay_closed',
      ...Object.fromEntries(
        [4001, 4002, 4003, 4004, 4005, 4006, 4007, 4008, 4009].map((code) => [code, 'reconnect']),
      ),
      ...Object.fromEntries(
        [4801, 4802, 4803, 4804, 4805, 4806, 4807, 4810, 4811, 4812].map((code) => [code, 'stop']),
      ),
    });
    for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 4499, 4700])
      expect(closeActionOf(code)).toBe('reconnect');
  });

  it('a close reason repeats code and advice within 123 bytes, and can be read back', () => {
    for (const { code } of Object.values(CLOSE_CODES)) {
      const name = closeNameOf(code) as keyof typeof CLOSE_CODES;
      const reason = closeReason(name, 2_147_483_647);
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
      expect(parseCloseReason(reason)).toEqual({ name, retryAfterMs: 2_147_483_647 });
    }
    expect(parseCloseReason('going away')).toEqual({});
    expect(parseCloseReason('constructor|5')).toEqual({});
    expect(parseCloseReason('drain|soon')).toEqual({ name: 'drain' });
  });
});

describe('choosing a subprotocol', () => {
  const codecs = [jsonCodec, msgpackCodec];
  const select = (...offered: string[]) => {
    const selection = selectCodec(readSubprotocols(offered), codecs);
    return 'codec' in selection ? [selection.codec.name, selection.echo] : selection.refused;
  };

  it('follows the preference of the client; no offer means JSON (P1)', () => {
    expect(select('realtime.v1.msgpack', 'realtime.v1.json')).toEqual(['msgpack', 'realtime.v1.msgpack']);
    expect(select('realtime.v9', 'realtime.v1.json')).toEqual(['json', 'realtime.v1.json']);
    expect(select()).toEqual(['json', undefined]);
    expect(select('realtime.v9', 'chat')).toBe('unknown_subprotocol');
  });

  it('refuses an offer of credentials alone, and never echoes credentials (P2)', () => {
    expect(select('bearer.abc')).toBe('credentials_only');
    expect(select('resume.abc', 'bearer.abc')).toBe('credentials_only');
    expect(select('bearer.abc', 'realtime.v1.json')).toEqual(['json', 'realtime.v1.json']);
    expect(readSubprotocols(offerSubprotocols(jsonCodec, 'a.b.c', 't.u'))).toEqual({
      protocols: ['realtime.v1.json'],
      token: 'a.b.c',
      ticket: 't.u',
    });
  });
});

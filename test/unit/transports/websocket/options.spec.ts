import { describe, expect, it } from '@jest/globals';
import { jsonCodec } from '../../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../../lib/protocol/codecs/msgpack.js';
import {
  resolveWebSocketOptions,
  type WebSocketTransportOptions,
} from '../../../../lib/transports/websocket/options.js';
import { WebSocketTransport } from '../../../../lib/transports/websocket/transport.js';
import { FakeHost } from '../support/fake-host.js';

describe('options of the WebSocket transport', () => {
  it('the options are safe by default (G22, G23, G24)', () => {
    expect(resolveWebSocketOptions({})).toMatchObject({
      path: '/realtime',
      codecs: [jsonCodec, msgpackCodec],
      allowsOrigin: undefined,
      judgeHost: undefined,
      cookieName: undefined,
      csrfSecret: undefined,
      trustProxy: false,
      queryToken: undefined,
      requireTls: false,
      compression: undefined,
      handshakeTimeoutMs: 10_000,
      closeTimeoutMs: 5_000,
    });
  });

  it.each<[WebSocketTransportOptions, string]>([
    [{ path: 'realtime' }, 'path: "realtime"'],
    [{ path: '/a?b' }, 'path: "/a?b"'],
    [{ codecs: [] }, 'codecs:'],
    [{ codecs: [jsonCodec, jsonCodec] }, 'codecs:'],
    [{ allowedOrigins: ['*'] }, 'allowedOrigins: "*"'],
    [{ allowedHosts: ['https://a'] }, 'allowedHosts: "https://a"'],
    [{ cookie: { name: 'a b' } }, 'cookie.name: "a b"'],
    [{ queryToken: '' }, 'queryToken: ""'],
    [{ trustProxy: -1 }, 'trustProxy: -1'],
    [{ trustProxy: 0.5 }, 'trustProxy: 0.5'],
    [{ compression: { level: 0 } }, 'compression.level: 0'],
    [{ compression: { threshold: -1 } }, 'compression.threshold: -1'],
    [{ compression: { concurrency: 0 } }, 'compression.concurrency: 0'],
    [{ handshakeTimeoutMs: 0 }, 'handshakeTimeoutMs: 0'],
    [{ closeTimeoutMs: Number.NaN }, 'closeTimeoutMs: NaN'],
  ])('%j is refused, naming the option', (options, message) => {
    expect(() => new WebSocketTransport(new FakeHost(), options)).toThrow(message);
  });

  it.each([0, -1, 1.5, 2 ** 31, Number.POSITIVE_INFINITY])(
    'a frame limit of %d, which ws would ignore, is refused (G24)',
    (maxFrameBytes) => {
      expect(() => new WebSocketTransport(new FakeHost(maxFrameBytes))).toThrow('limits.maxFrameBytes');
    },
  );
});

import { afterEach, describe, expect, it } from '@jest/globals';
import { jsonCodec } from '../../../../lib/protocol/codecs/json.js';
import { msgpackCodec } from '../../../../lib/protocol/codecs/msgpack.js';
import { RawClient, refusalOf } from '../support/raw-client.js';
import { closeServers, serve } from '../support/test-server.js';

afterEach(closeServers);

const JSON_V1 = 'realtime.v1.json';
const MSGPACK_V1 = 'realtime.v1.msgpack';

describe('negotiation of subprotocols (P1, P2)', () => {
  it.each([
    [undefined, undefined, 'json'],
    [JSON_V1, JSON_V1, 'json'],
    [MSGPACK_V1, MSGPACK_V1, 'msgpack'],
    [`${JSON_V1}, ${MSGPACK_V1}`, JSON_V1, 'json'],
    [`${MSGPACK_V1},${JSON_V1}`, MSGPACK_V1, 'msgpack'],
    [`soap, graphql-ws, ${MSGPACK_V1}`, MSGPACK_V1, 'msgpack'],
    [`bearer.abc.def, ${JSON_V1}`, JSON_V1, 'json'],
    [`${JSON_V1}, bearer.abc.def`, JSON_V1, 'json'],
    [`resume.ticket, bearer.abc, ${MSGPACK_V1}`, MSGPACK_V1, 'msgpack'],
    [`realtime.v1.protobuf, ${JSON_V1}`, JSON_V1, 'json'],
  ])('%j is answered with %j (P1)', async (offered, echoed, codec) => {
    const { host, port } = await serve();
    const client = await RawClient.open(port, '/realtime', { 'Sec-WebSocket-Protocol': offered });
    expect(client.response.headers['sec-websocket-protocol']).toBe(echoed);
    expect((await host.next()).connection.variant.codec.name).toBe(codec);
  });

  it('the header may be split into several lines (P1)', async () => {
    const { port } = await serve();
    const client = await RawClient.open(port, '/realtime', {
      'Sec-WebSocket-Protocol': ['soap', MSGPACK_V1],
    });
    expect(client.response.headers['sec-websocket-protocol']).toBe(MSGPACK_V1);
  });

  it.each([
    ['an offer of unknown names', 'soap, graphql-ws'],
    ['a reserved name', 'realtime.v1.protobuf'],
    ['a name in another case', 'Realtime.V1.JSON'],
  ])('%s is refused with 400, which names the supported subprotocols (P1)', async (_name, offered) => {
    const { port } = await serve();
    const response = await refusalOf(port, '/realtime', { 'Sec-WebSocket-Protocol': offered });
    expect(response.statusLine).toBe('HTTP/1.1 400 Bad Request');
    expect(response.body).toContain(`${JSON_V1}, ${MSGPACK_V1}`);
  });

  it.each(['bearer.abc', 'resume.ticket', 'bearer.abc, resume.ticket'])(
    '%s alone is refused with 400 (P2)',
    async (offered) => {
      const { host, port } = await serve();
      const response = await refusalOf(port, '/realtime', { 'Sec-WebSocket-Protocol': offered });
      expect(response.status).toBe(400);
      expect(response.body).not.toContain('abc');
      expect(host.asked).toEqual([]);
    },
  );

  it.each([
    '',
    ',',
    `${JSON_V1},`,
    `${JSON_V1},,${MSGPACK_V1}`,
    `${JSON_V1} ${MSGPACK_V1}`,
    `${JSON_V1}, ${JSON_V1}`,
    `${JSON_V1}, bearer.a, bearer.b`,
    `${JSON_V1}, resume.a, resume.b`,
    `${JSON_V1}, bearer.`,
    `${JSON_V1}, resume.`,
    `${JSON_V1}, bearer.a b`,
    `${JSON_V1}, bearer.a/b`,
    // Granian (2026): a non-ASCII header was a panic.
    `${JSON_V1}, é`,
    '\u00ff\u00fe',
    `"${JSON_V1}"`,
    // CVE-2021-32640
    `${JSON_V1}${' '.repeat(10_000)}x`,
    Array.from({ length: 200 }, (_, index) => `p${index}`).join(','),
  ])('the malformed header %j is refused with 400 (P1)', async (offered) => {
    const { host, port } = await serve();
    const response = await refusalOf(port, '/realtime', { 'Sec-WebSocket-Protocol': offered });
    expect(response.statusLine).toBe('HTTP/1.1 400 Bad Request');
    expect(response.headers['connection']).toBe('close');
    expect(host.asked).toEqual([]);
    expect(host.sessions).toEqual([]);
  });

  it('a client that offers none gets the first configured codec (P1)', async () => {
    const { host, port } = await serve({ codecs: [msgpackCodec, jsonCodec] });
    await RawClient.open(port);
    expect((await host.next()).connection.variant.codec.name).toBe('msgpack');
  });

  it('a codec that is not configured is unknown (P1)', async () => {
    const { port } = await serve({ codecs: [jsonCodec] });
    expect((await refusalOf(port, '/realtime', { 'Sec-WebSocket-Protocol': MSGPACK_V1 })).status).toBe(400);
  });
});

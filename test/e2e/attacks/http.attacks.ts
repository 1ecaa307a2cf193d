import { head, posted, upgrade } from './support/raw-socket.js';
import type { HttpAttack } from './support/http-attack.js';

const HELLO_BODY = JSON.stringify([{ type: 'hello', id: 'h', payload: { versions: [1] } }]);
const SMUGGLED = head('GET /smuggled HTTP/1.1', 'Host: app.example', 'Connection: close');
const POLL = ['POST /realtime/poll HTTP/1.1', 'Host: app.example', 'Content-Type: application/json'] as const;
const PROBE = ['GET /realtime HTTP/1.1', 'Host: app.example'] as const;
const STREAM = ['GET /realtime/sse?channels=rooms.1 HTTP/1.1', 'Host: app.example'] as const;

/** Bytes that a proxy and this server might read as different requests. Never a second answer. */
export const smugglingAttacks: readonly HttpAttack[] = [
  {
    name: 'Content-Length beside Transfer-Encoding',
    clause: 'P18, P21c',
    bytes: head(...POLL, 'Content-Length: 5', 'Transfer-Encoding: chunked') + `0\r\n\r\n${SMUGGLED}`,
    answers: [400],
  },
  ...[
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: gzip',
    'Transfer-Encoding:\u000bchunked',
    'Transfer-Encoding\u0000: chunked',
    'X: y\nTransfer-Encoding: chunked',
  ].map((line) => ({
    name: `the header ${JSON.stringify(line)}`,
    clause: 'P18, P21c',
    bytes: head(...POLL, line, 'Content-Length: 5') + `0\r\n\r\n${SMUGGLED}`,
    answers: [400],
  })),
  {
    name: 'two Content-Lengths that differ',
    clause: 'P18, P21c',
    bytes: head(...POLL, 'Content-Length: 0', 'Content-Length: 40') + SMUGGLED,
    answers: [400],
  },
  {
    name: 'two Content-Lengths that are equal',
    clause: 'P18, P21c',
    bytes: head(...POLL, 'Content-Length: 2', 'Content-Length: 2') + `[]${SMUGGLED}`,
    answers: [400],
  },
  ...['+5', '-1', '0x5', '5 5', '5,5', '9007199254740993000000', ''].map((length) => ({
    name: `the Content-Length ${JSON.stringify(length)}`,
    clause: 'P18, P21c',
    bytes: `${head(...POLL, `Content-Length: ${length}`)}[]   ${SMUGGLED}`,
    answers: [400],
  })),
  {
    name: 'a header that is folded over two lines',
    clause: 'P18',
    bytes: head(...POLL, 'Transfer-Encoding:', ' chunked', 'Content-Length: 5') + `0\r\n\r\n${SMUGGLED}`,
    answers: [400],
  },
  {
    name: 'lines that end in LF alone',
    clause: 'P18',
    bytes: head(...POLL, 'Content-Length: 0').replaceAll('\r\n', '\n'),
    answers: [400],
  },
  {
    name: 'lines that end in CR alone',
    clause: 'P18',
    bytes: `${head(...PROBE).replaceAll('\r\n', '\r')}${SMUGGLED}`,
    answers: [400],
  },
  {
    name: 'a chunk size that is no number',
    clause: 'P18, P21c',
    bytes: `${head(...POLL, 'Transfer-Encoding: chunked')}xyz\r\n[]\r\n0\r\n\r\n${SMUGGLED}`,
    answers: [400],
  },
  {
    name: 'a chunk size above 64 bits',
    clause: 'P18, P21c',
    bytes: `${head(...POLL, 'Transfer-Encoding: chunked')}fffffffffffffffff\r\n[]\r\n0\r\n\r\n`,
    answers: [400],
  },
  {
    name: 'a chunk without the line break behind it',
    clause: 'P18, P21c',
    bytes: `${head(...POLL, 'Transfer-Encoding: chunked')}2\r\n[]0\r\n\r\n${SMUGGLED}`,
    answers: [400],
  },
  {
    name: 'chunk extensions of 32 KiB',
    clause: 'P18, P21c',
    bytes: `${head(...POLL, 'Transfer-Encoding: chunked')}2;${'a'.repeat(32_768)}\r\n[]\r\n0\r\n\r\n`,
    answers: [413],
  },
  {
    name: 'a header of 32 KiB',
    clause: 'P18',
    bytes: head(...PROBE, `X: ${'a'.repeat(32_768)}`),
    answers: [431],
  },
  {
    name: 'an upgrade behind more headers than Node keeps, which hide it',
    clause: 'P18',
    bytes: upgrade([]).replace('Upgrade: websocket', `${'A: b\r\n'.repeat(2_100)}Upgrade: websocket`),
    answers: [426],
  },
  {
    name: 'an upgrade with a body',
    clause: 'P18',
    bytes: upgrade([`Content-Length: ${SMUGGLED.length}`]) + SMUGGLED,
    answers: [400],
  },
  {
    name: 'an upgrade with chunks',
    clause: 'P18',
    bytes: `${upgrade(['Transfer-Encoding: chunked'])}0\r\n\r\n${SMUGGLED}`,
    answers: [400],
  },
  {
    name: 'a request behind an upgrade, which is frames',
    clause: 'P18, P6',
    bytes: upgrade() + SMUGGLED,
    answers: [101],
  },
  {
    name: 'an upgrade behind a probe that has no answer yet',
    clause: 'P18c',
    bytes: head(...PROBE) + upgrade(),
    answers: [],
  },
  {
    name: 'a request behind a plain stream that is refused, which ends the connection',
    clause: 'P20h',
    bytes: head(...STREAM) + SMUGGLED,
    answers: [401],
    mayEndBefore: true,
  },
  {
    name: 'garbage',
    clause: 'P18',
    bytes: Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x0d, 0x0a]),
    answers: [400],
  },
  {
    name: 'the preface of HTTP/2',
    clause: 'P18',
    bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    answers: [400],
  },
];

/** Requests that are not those of the endpoint. */
export const requestAttacks: readonly HttpAttack[] = [
  ...['POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND', 'HEAD'].map((method) => ({
    name: `an upgrade with ${method}`,
    clause: 'P18',
    bytes: upgrade().replace('GET', method),
    answers: [400],
  })),
  ...['PUT', 'DELETE', 'PATCH', 'PROPFIND'].map((method) => ({
    name: `${method} to the path of polls`,
    clause: 'P18, P21',
    bytes: posted('/realtime/poll', HELLO_BODY).replace('POST', method),
    answers: [405],
  })),
  ...['TRACE', 'CONNECT', 'GET'].map((method) => ({
    name: `${method} to the path of bodies`,
    clause: 'P18, P21',
    bytes: head(`${method} /realtime/send HTTP/1.1`, 'Host: app.example', 'Connection: close'),
    answers: method === 'CONNECT' ? [] : [405],
  })),
  {
    name: 'a method that does not exist',
    clause: 'P18',
    bytes: head('GETX /realtime HTTP/1.1', 'Host: app.example'),
    answers: [400],
  },
  {
    name: 'an upgrade of HTTP/1.0',
    clause: 'P18',
    bytes: upgrade().replace('HTTP/1.1', 'HTTP/1.0'),
    answers: [400],
  },
  {
    name: 'an upgrade to h2c',
    clause: 'P18',
    bytes: upgrade(['HTTP2-Settings: AAMAAABkAAQAAP__']).replace('websocket', 'h2c'),
    answers: [426],
  },
  {
    name: 'an upgrade to a list',
    clause: 'P18',
    bytes: upgrade().replace('Upgrade: websocket', 'Upgrade: websocket, h2c'),
    answers: [426],
  },
  ...['8', '12', '014', '13, 8', ''].map((version) => ({
    name: `an upgrade of version ${JSON.stringify(version)}`,
    clause: 'P18',
    bytes: upgrade().replace('Version: 13', `Version: ${version}`),
    answers: [426],
  })),
  ...['', 'short', 'dGhlIHNhbXBsZSBub25jZQ=', '<script>alert(1)</script>'].map((key) => ({
    name: `an upgrade with the key ${JSON.stringify(key)}`,
    clause: 'P18',
    bytes: upgrade().replace('dGhlIHNhbXBsZSBub25jZQ==', key),
    answers: [400],
  })),
  ...[
    ['/realtime/../realtime/evil', 404],
    ['/realtime/%2e%2e/admin', 404],
    ['//evil.example/realtime', 404],
    ['/REALTIME', 404],
    ['/realtime%00', 404],
    ['/realtime;a=b', 404],
    ['/realtime\\', 404],
    ['*', 404],
  ].map(([path, status]) => ({
    name: `an upgrade of ${path as string}`,
    clause: 'P18',
    bytes: upgrade([], path as string),
    answers: [status as number],
  })),
  ...[
    ['a name that is no protocol', 'chat'],
    ['a credential alone', 'bearer.x'],
    ['an empty credential', 'realtime.v1.json, bearer.'],
    ['two credentials', 'realtime.v1.json, bearer.a, bearer.b'],
    ['two tickets', 'realtime.v1.json, resume.a, resume.b'],
    ['an element twice', 'realtime.v1.json, realtime.v1.json'],
    ['an empty element', 'realtime.v1.json,,chat'],
    ['an element that is no token', 'realtime.v1.json, "quoted"'],
    ['letters that are not ASCII', 'realtime.v1.json, caf\u00e9'],
    ['100 elements', Array.from({ length: 100 }, (_, n) => `p${n}`).join(', ')],
    ['12 KiB of blanks', `realtime.v1.json${' '.repeat(12_000)}x`],
    ['the prototype', '__proto__'],
  ].map(([name, offer]) => ({
    name: `an offer of subprotocols with ${name as string}`,
    clause: 'P1b, P2',
    bytes: upgrade([`Sec-WebSocket-Protocol: ${offer as string}`]),
    answers: [400],
  })),
  ...[
    ['constructor', 101],
    ['__proto__', 101],
    ['permessage-deflate; server_max_window_bits=constructor', 101],
    ['permessage-deflate; a=";', 101],
  ].map(([offer, status]) => ({
    name: `an offer of the extension ${offer as string}`,
    clause: 'P18, G24',
    bytes: upgrade([`Sec-WebSocket-Extensions: ${offer as string}`]),
    answers: [status as number],
    headers: { 'sec-websocket-extensions': undefined },
  })),
];

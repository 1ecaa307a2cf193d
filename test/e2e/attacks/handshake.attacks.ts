import { head, posted, upgrade } from './support/raw-socket.js';
import type { HttpAttack } from './support/http-attack.js';
import { sign } from './support/tokens.js';

const HELLO_BODY = JSON.stringify([{ type: 'hello', id: 'h', payload: { versions: [1] } }]);
const cookie = (): string => `Cookie: session=${sign({ sub: 'victim' })}`;

/** Origins against the list `['https://app.example']`: what is refused, and the two spellings of one that is not. */
const ORIGINS: readonly (readonly [name: string, origin: string, status: 101 | 400 | 403])[] = [
  ['null, as every sandboxed frame sends it', 'null', 403],
  ['null in capitals', 'NULL', 403],
  ['nothing', '', 403],
  ['the origin in capitals, which is the same one', 'HTTPS://APP.EXAMPLE', 101],
  ['the origin with its default port, which is the same one', 'https://app.example:443', 101],
  ['another port', 'https://app.example:8443', 403],
  ['the port 0443 and more', 'https://app.example:44300', 403],
  ['plain HTTP', 'http://app.example', 403],
  ['another scheme', 'wss://app.example', 403],
  ['userinfo before the name', 'https://user@app.example', 403],
  ['the name as userinfo of another', 'https://app.example@evil.example', 403],
  ['a backslash before another name', 'https://app.example\\@evil.example', 403],
  ['the name as a prefix', 'https://app.example.evil.example', 403],
  ['the name as a prefix without a dot', 'https://app.exampleevil.example', 403],
  ['the name as a suffix', 'https://evilapp.example', 403],
  ['a subdomain', 'https://evil.app.example', 403],
  ['a trailing dot', 'https://app.example.', 403],
  ['a path', 'https://app.example/', 403],
  ['a query', 'https://app.example?', 403],
  ['a fragment', 'https://app.example#evil', 403],
  ['an encoded NUL', 'https://app.example%00.evil.example', 403],
  ['a homograph, as UTF-8', 'https://\u0430pp.example', 403],
  ['a homograph, as punycode', 'https://xn--pp-7lc.example', 403],
  ['a full-width dot', 'https://app\u3002example', 403],
  ['two origins in one header', 'https://app.example, https://evil.example', 403],
  ['two origins with a blank between', 'https://app.example https://evil.example', 403],
  ['a file', 'file://', 403],
  ['an extension', 'chrome-extension://abcdefghijklmnop', 403],
  ['data', 'data:text/html,x', 403],
  ['600 characters', `https://${'a'.repeat(600)}.example`, 403],
  ['a name of the prototype', 'constructor', 403],
  ['a tab inside', 'https://app.\texample', 403],
  ['a vertical tab inside', 'https://app.\u000bexample', 400],
];

export const originAttacks: readonly HttpAttack[] = [
  ...ORIGINS.map(([name, origin, status]) => ({
    name: `an upgrade whose Origin is ${name}`,
    clause: 'G22, P18',
    bytes: upgrade([`Origin: ${origin}`]),
    answers: [status],
    ...(status === 403 ? { body: /"statusCode":403/ } : {}),
  })),
  {
    name: 'an upgrade with two Origin headers, the good one first',
    clause: 'G22, P18',
    bytes: upgrade(['Origin: https://app.example', 'Origin: https://evil.example']),
    answers: [403],
  },
  {
    name: 'an upgrade with two Origin headers, the good one last',
    clause: 'G22, P18',
    bytes: upgrade(['Origin: https://evil.example', 'Origin: https://app.example']),
    answers: [403],
  },
  {
    name: 'an upgrade of version 8 with the origin in the header of that version',
    clause: 'G22, P18',
    bytes: upgrade(['Sec-WebSocket-Origin: https://app.example']).replace('Version: 13', 'Version: 8'),
    answers: [426],
  },
  {
    name: 'a plain stream of another page',
    clause: 'G22, P20a',
    bytes: head(
      'GET /realtime/sse?channels=rooms.1 HTTP/1.1',
      'Host: app.example',
      'Origin: https://evil.example',
      'Connection: close',
    ),
    answers: [403],
    headers: { 'access-control-allow-origin': undefined },
  },
  {
    name: 'a session by polls of another page',
    clause: 'G22, P21b',
    bytes: posted('/realtime/poll', HELLO_BODY, ['Origin: https://evil.example']),
    answers: [403],
    headers: { 'access-control-allow-origin': undefined },
  },
  {
    name: 'a session by stream of another page',
    clause: 'G22, P21b',
    bytes: posted('/realtime/sse', HELLO_BODY, ['Origin: null']),
    answers: [403],
    headers: { 'access-control-allow-origin': undefined },
  },
  {
    name: 'a probe of another page',
    clause: 'G22, P18',
    bytes: head(
      'GET /realtime HTTP/1.1',
      'Host: app.example',
      'Origin: https://evil.example',
      'Connection: close',
    ),
    answers: [403],
  },
];

/** A visitor's cookie, sent along by pages that are not the application's. No list of origins is set. */
export const cookieAttacks: readonly HttpAttack[] = [
  {
    name: 'the upgrade of another page with the cookie of its visitor, which is not read',
    clause: 'G22, P18b',
    bytes: upgrade(['Origin: https://evil.example', cookie()]),
    answers: [101],
    hello: 4801,
  },
  {
    name: 'the upgrade of a sandboxed frame with the cookie of its visitor, which is not read',
    clause: 'G22, P18b',
    bytes: upgrade(['Origin: null', cookie()]),
    answers: [101],
    hello: 4801,
  },
  {
    name: 'an upgrade with a cookie and without Origin',
    clause: 'G22, P18b',
    bytes: upgrade([cookie()]),
    answers: [403],
  },
  {
    name: 'an upgrade of the same name on another port, with a cookie that is not read',
    clause: 'G22, P18b',
    bytes: upgrade(['Origin: http://app.example:8080', cookie()]),
    answers: [101],
    hello: 4801,
  },
  {
    name: 'a plain stream with a cookie and without Origin',
    clause: 'G22, P20a',
    bytes: head(
      'GET /realtime/sse?channels=rooms.1 HTTP/1.1',
      'Host: app.example',
      cookie(),
      'Connection: close',
    ),
    answers: [403],
  },
  {
    name: 'a plain stream as an image of another page',
    clause: 'G22, P20a',
    bytes: head(
      'GET /realtime/sse?channels=rooms.1 HTTP/1.1',
      'Host: app.example',
      'Sec-Fetch-Site: cross-site',
      cookie(),
      'Connection: close',
    ),
    answers: [403],
  },
  {
    name: 'a session by polls as a form of another page, with a text body',
    clause: 'G22, P21c',
    bytes: posted('/realtime/poll', HELLO_BODY, [cookie(), 'Origin: https://evil.example']).replace(
      'application/json',
      'text/plain',
    ),
    answers: [415],
  },
  {
    name: 'a session by polls with a cookie and without Origin',
    clause: 'G22, P21b',
    bytes: posted('/realtime/poll', HELLO_BODY, [cookie()]),
    answers: [403],
  },
  {
    name: 'a cookie that a subdomain tossed in front of the visitor’s: the first of a name counts',
    clause: 'G22, P2c',
    bytes: upgrade(['Origin: https://app.example', `Cookie: session=tossed; session=${sign({ sub: 'a' })}`]),
    answers: [401],
  },
  {
    name: 'a cookie in two headers, of which the first counts',
    clause: 'G22, P2c',
    bytes: upgrade(['Origin: https://app.example', 'Cookie: session=bad', cookie()]),
    answers: [401],
  },
  {
    name: 'a cookie whose name has other case',
    clause: 'G22',
    bytes: upgrade(['Origin: https://app.example', `Cookie: SESSION=${sign({ sub: 'a' })}`]),
    answers: [101],
    hello: 4801,
  },
  {
    name: 'a cookie named as the prototype',
    clause: 'G22',
    bytes: upgrade(['Origin: https://app.example', 'Cookie: __proto__=a; constructor=b']),
    answers: [101],
    hello: 4801,
  },
  {
    name: 'a preflight of another page, which may read nothing with cookies',
    clause: 'G22, P20a',
    bytes: head(
      'OPTIONS /realtime/poll HTTP/1.1',
      'Host: app.example',
      'Origin: https://evil.example',
      'Access-Control-Request-Method: POST',
      'Connection: close',
    ),
    answers: [204],
    headers: { 'access-control-allow-credentials': undefined },
  },
];

/** Against the list `['app.example']`. */
export const hostAttacks: readonly HttpAttack[] = [
  ['none', [], [400]],
  ['that of a page which rebinds its name', ['Host: evil.example'], [403]],
  ['two, the good one first', ['Host: app.example', 'Host: evil.example'], [400]],
  ['two, the good one last', ['Host: evil.example', 'Host: app.example'], [400]],
  ['two equal ones', ['Host: app.example', 'Host: app.example'], [400]],
  ['userinfo', ['Host: app.example@evil.example'], [400]],
  ['a path', ['Host: app.example/evil.example'], [400]],
  ['a port that is text', ['Host: app.example:evil'], [400]],
  ['the name as a prefix', ['Host: app.example.evil.example'], [403]],
  ['an address', ['Host: 127.0.0.1'], [403]],
  ['a list', ['Host: app.example, evil.example'], [400]],
  ['a wildcard', ['Host: *'], [403]],
  ['X-Forwarded-Host beside a foreign one', ['Host: evil.example', 'X-Forwarded-Host: app.example'], [403]],
].map(([name, lines, answers]) => ({
  name: `an upgrade whose Host is ${name as string}`,
  clause: 'P18',
  bytes: upgrade().replace(
    'Host: app.example\r\n',
    (lines as string[]).map((line) => `${line}\r\n`).join(''),
  ),
  answers: answers as number[],
}));

// Writes docs/errors.md from the catalogues of lib/protocol (`npm run docs`). They hold what happened; this file adds why, and what
// to do. A code without a reason stops the script, so a new code cannot stay unexplained.

/** What to do, and the HTTP status with the same meaning. */
const ERROR_HELP = {
  bad_request: {
    http: 400,
    remedy: 'Correct the field named in `details` and send a new command.',
  },
  validation_failed: {
    http: 422,
    remedy: 'Show `details[]` to the user; each entry has a `path` and a `message`.',
  },
  unauthorized: {
    http: 401,
    remedy: 'Fetch a fresh token and connect, or send `auth`.',
  },
  token_expired: {
    http: 401,
    remedy: 'Fetch a fresh token, then try again.',
  },
  forbidden: {
    http: 403,
    remedy: 'Do not retry; ask the owner of the channel for access.',
  },
  refused: {
    http: 403,
    remedy: 'Decide by `reason` and `data`, which are the application’s.',
  },
  banned: {
    http: 403,
    remedy: 'Wait for the ban to end (`retryAfterMs` where it has an end).',
  },
  muted: {
    http: 403,
    remedy: 'Wait for the mute to end (`retryAfterMs` where it has an end).',
  },
  unknown_channel: {
    http: 404,
    remedy: 'Check the name against the application’s `@Channel()` patterns.',
  },
  not_subscribed: {
    http: 409,
    remedy: 'Subscribe first.',
  },
  already_subscribed: {
    http: 409,
    remedy: 'Use the subscription that exists.',
  },
  too_many_channels: {
    http: 429,
    remedy: 'Unsubscribe from a channel first.',
  },
  rate_limited: {
    http: 429,
    remedy: 'Wait `retryAfterMs`; stay below `limits.ratePerSecond` of `welcome`.',
  },
  message_too_large: {
    http: 413,
    remedy:
      'Send less: of a command at most `limits.maxMessageBytes` of `welcome`, of an event `limits.maxEventBytes`.',
  },
  conflict: {
    http: 409,
    remedy: 'Use a new id for new content.',
  },
  out_of_order: {
    http: 409,
    remedy: 'Send the earlier publish again first, then this one.',
  },
  unavailable: {
    http: 503,
    remedy: 'Send the same command with the same id again after `retryAfterMs`.',
  },
  timeout: {
    http: 504,
    remedy: 'Send the same command with the same id again.',
  },
  outcome_unknown: {
    http: 504,
    remedy: 'Read the state (history or a request) before doing it again.',
  },
  internal: {
    http: 500,
    remedy: 'Report the id to the operator.',
  },
};

/** Why each error happens: the usual causes, most frequent first. */
const ERROR_CAUSES = {
  bad_request: [
    'A required field is missing, or one has the wrong type or length: `details[]` names each by its path.',
    'An optional field was sent as `null` instead of being left out (P5b).',
    'The channel name is not well formed (P23), the command is unknown, or there is no such request.',
    'A second `hello`; or presence was asked for on a channel that keeps none.',
  ],
  validation_failed: ['The class or schema that the application validates this payload with refused it.'],
  unauthorized: [
    'No token came with the upgrade or in `hello`, and the server does not admit anonymous clients.',
    'The token does not verify: wrong key, algorithm, issuer or audience.',
  ],
  token_expired: [
    'The token’s end has passed, or the clocks of issuer and server differ by more than is forgiven.',
  ],
  forbidden: [
    'The authorization of the channel refused.',
    'The event is not among those that clients may publish or signal on this channel (G9).',
    'Access was revoked while the command was under way (G11).',
    'A token of another user was sent in `auth`, or in `hello` after an upgrade with a token.',
  ],
  refused: [
    'A handler, an authorization or the connect hook threw a `RealtimeError` with a code of its own, an `HttpException` or a `WsException` ([the table](#what-your-exceptions-become)).',
    'A guard such as a throttler refused: `reason` is `too_many_requests`, and `retryAfterMs` what it wrote as `Retry-After`.',
  ],
  banned: [
    'A moderator banned the user, the session or the address, everywhere or from this channel ([moderation](moderation.md)).',
    'The client ignored the limits until its connection was closed with 4807, which bans for a while (G16).',
  ],
  muted: [
    'A moderator muted the user, the session or the address ([moderation](moderation.md)).',
    'The channel is in slow mode: the `reason` is `slow_mode`, and `retryAfterMs` says when the next publish may come.',
    'The application refused with it: the user may read here, but not write for now.',
  ],
  unknown_channel: [
    'No pattern has this number of segments with these literals: names are compared exactly, case included.',
  ],
  not_subscribed: [
    'The command needs a live subscription of this connection: those of an earlier connection do not count.',
    'It answers a subscribe that an `unsubscribe` called off.',
  ],
  already_subscribed: ['The channel is subscribed on this connection, or a subscribe of it is under way.'],
  too_many_channels: [
    'Subscriptions, together with subscribes that are under way, have reached `limits.maxChannels` of `welcome`.',
  ],
  rate_limited: [
    'More commands or bytes a second than this connection, all connections of this user, or those of its tenant together, may send.',
    'With the reason `circuit_open`: the handler that the command needs keeps failing and was not called (P18i, `circuits`). The client library sends a publish again by itself after `retryAfterMs`, and a request not; the server’s log has the errors.',
    'In answer to `hello`, with the reason `too_many_connections`: the user has as many connections as may be (P18g); the connection closes with [4009](#4009-too_many_connections).',
    'In answer to `hello` or `auth`: no place to verify the credential was free in time (P18c), or too many were refused for this address (P18h).',
    'In the client library: more publishes or commands wait than its own bounds allow; nothing was sent then.',
  ],
  message_too_large: [
    'A limit of the application or of a broker was exceeded. A client message above `maxMessageBytes` closes the connection with 4806 instead.',
  ],
  conflict: [
    'An id was used for two different publishes within the dedupe window (P15).',
    'A retry was built again instead of being sent unchanged: it has another payload, or its keys in another order (P15a).',
  ],
  out_of_order: [
    'The earlier publish failed, or is still on its way (P16).',
    'It is older than the dedupe window, so the server can no longer tell whether it is in the log (P16b).',
  ],
  unavailable: [
    'The broker is restarting, failing over or unreachable.',
    'In answer to `hello` or `auth`: what the credential is judged by does not answer (the key server of an identity provider, an introspection endpoint, a database of the authenticator), the token is not valid yet, or `limits.forUser` fails.',
    'With the reason `circuit_open`: the authorization that the command needs keeps failing and was not called (P18i, `circuits`).',
    'The state that a snapshot needs is not ready (P26a).',
    'The application failed in a command that only asks, a subscribe, a read of the state, of history or of members: the message holds an id, as of [`internal`](#internal) (P6d).',
    'The node cannot prove at the moment that it knows every revoke, and withholds channels that are not public (G11).',
    'The node has so much to do that the command had no turn within `handlerTimeout`: it did not run.',
  ],
  timeout: [
    'A handler of the application, or the broker, did not answer in time. A `request` that ran is `outcome_unknown` then.',
    'The broker has so much to do that the command had no turn in time: a subscribe, or a read of the state, of history or of members.',
  ],
  outcome_unknown: [
    'The connection ended between a `request` and its answer, or its handler did not answer in time and still runs (P17c).',
    'The handler of a `request` has run, but its answer may not be sent for now: the authorization of the subscription does not answer, or the node cannot prove that access was not revoked (P17c).',
    'The handler of a publish that is sent again has run for ten times `handlerTimeout` and has not ended (P15c).',
    'A publish was not acknowledged within the dedupe window: sending it again could append it twice (P17b).',
  ],
  internal: [
    'The application’s code threw something that is not meant for clients, in a publish, a signal or a request (G25). A subscribe or read is answered with [`unavailable`](#unavailable) then.',
  ],
};

/** Why each close happens, and what to do about it. */
const CLOSE_NOTES = {
  normal: ['The client said `bye` or closed on purpose.', 'Nothing.'],
  drain: [
    'The node is being deployed or stopped (G18).',
    'Reconnect after the delay that `bye` advises: another node takes over.',
  ],
  rotate: ['Reserved; not sent in this version.', 'Reconnect after the advised delay.'],
  slow_consumer: [
    'The client did not read, or its network is slower than the channels to which it subscribed (P25).',
    'Reconnect with the positions. If it happens again, subscribe to less, or choose another overflow policy for the channel.',
  ],
  heartbeat_timeout: [
    'The network failed without closing the connection, the machine slept, or the client did not answer `ping` (P8).',
    'Reconnect with the positions.',
  ],
  internal: [
    'The server failed, or could not send `welcome` in time.',
    'Reconnect with backoff; the operator finds the reason in the log.',
  ],
  overloaded: [
    'The node reached its limit of connections while this one was authenticated (P18); or the credential had no place to be verified in time, or too many were refused for this address (P18c, P18h); or clients have sent more than it has memory, or time, to parse (P4d).',
    'Reconnect after the advised delay.',
  ],
  broker_unavailable: [
    'Something that `welcome` needs does not work, and the name tells only one such case: the broker is away; the key server of an identity provider or an introspection endpoint does not answer; the authenticator or the connect hook says `unavailable`; the token is not valid yet; or `limits.forUser` fails.',
    'Reconnect with backoff; the client library does. The operator finds which it was in the log of the server.',
  ],
  token_expired: [
    'The token expired and no `auth` came in time (G12), or it had expired before `hello`.',
    'Fetch a fresh token, then reconnect.',
  ],
  too_many_connections: [
    'The user has `limits.maxConnectionsPerUser` connections over all nodes (P18g); or the address reached its limit while this one was authenticated (P18).',
    'Reconnect after the advised delay. A page with many tabs may share one connection between them.',
  ],
  unauthorized: [
    'No token, or one that does not verify.',
    'Fetch a fresh token and try once more. If that one is refused too, ask the user to sign in.',
  ],
  forbidden: [
    'The application refused the connection, or `hello` brought a token of another user than the upgrade.',
    'Do not reconnect as this user.',
  ],
  banned: ['The user is banned.', 'Tell the user; `retryAfterMs` says when the ban ends, if it has an end.'],
  unsupported_version: ['The client speaks no revision that the server speaks.', 'Update the client.'],
  protocol_error: [
    'The first envelope was not a well-formed `hello`, or none came in time; a frame could not be parsed, had too many envelopes or was nested too deeply.',
    'Fix the client: the same frame would be refused again. Only if subscribes went along with `hello`, reconnect once without them (P3c).',
  ],
  message_too_large: [
    'A frame above `maxFrameBytes`, or an envelope above `maxMessageBytes`.',
    'Send less at once; upload files elsewhere and publish their address. If subscribes went along with `hello`, reconnect once without them (P3c).',
  ],
  rate_abuse: [
    'The client continued to send after `rate_limited` (G16).',
    'Respect `retryAfterMs` and `limits.ratePerSecond`; the connection is refused until the ban ends.',
  ],
  superseded: [
    'Another connection presented the ticket of this session: the client itself after a cut, or a second tab with a copied ticket (P28).',
    'If you are the older connection, stop. Keep tickets in memory only.',
  ],
  replaced: [
    "With `whenUserIsFull: 'end_oldest'`: a newer connection of the same user came, on whichever node, and this was the oldest of `limits.maxConnectionsPerUser` (P18g).",
    'Tell the user; reconnect only when the user asks for it. A client that came back by itself would end the next oldest, and two devices would take turns for ever.',
  ],
  kicked: [
    'The application or a moderator disconnected the user.',
    'Tell the user; reconnect only when the user asks for it.',
  ],
};

/** Statuses of the requests of sessions over HTTP (P21): when, whether the session goes on, and what to do. */
const SESSION_STATUSES = [
  [
    200,
    'A session was opened, or a poll is answered.',
    'continues',
    'Read the envelopes: a refused `hello` is one too.',
  ],
  [
    202,
    'The body of `/send` was taken, or was taken before.',
    'continues; behind `bye` it has ended',
    'Send the next number.',
  ],
  [204, 'A newer poll waits in the place of this one.', 'continues', 'Nothing.'],
  [
    400,
    'The body is neither an envelope nor an array of envelopes, or is `[]` where `hello` is expected.',
    'ends with 4805',
    'Correct the client.',
  ],
  [
    401,
    'The token of the opening request does not verify or has expired.',
    'did not begin',
    'Fetch a fresh token.',
  ],
  [
    403,
    'The `Origin` is not allowed, or is another one than that of the opening request; TLS is required; the application said no.',
    'continues, where it was open',
    'List the page’s origin in `allowedOrigins`.',
  ],
  [
    404,
    'Nobody serves this path.',
    'did not begin',
    'Check the URL and the proxies; `transports: { httpSessions: false }` switches sessions over HTTP off.',
  ],
  [
    405,
    'Another method than `POST`; or a `POST` to `{path}/sse` where sessions over HTTP are off.',
    'did not begin',
    'Send `POST`; leave `transports.httpSessions` on.',
  ],
  [
    409,
    'The number does not follow the last one.',
    'continues, where an older request was late; else ends with 4805, which the body names as `close`',
    '`Realtime-Send` counts 1, 2, 3 …; `Realtime-Ack` is the `Realtime-Answer` of the last answer that came.',
  ],
  [
    410,
    'The session has ended (the body has `close`, and `retryAfterMs` where there is one), what the answer held was withdrawn, or no live node has this session.',
    'has ended',
    'Open another and resume. If each new session ends like this, several nodes run without a [shared broker](scaling.md).',
  ],
  [413, 'The body is larger than `maxFrameBytes`.', 'ends with 4806', 'Send less at once.'],
  [
    415,
    'The body is not `application/json`, or is compressed.',
    'continues, where it was open',
    'Send `Content-Type: application/json`, without `Content-Encoding`.',
  ],
  [
    429,
    'Too many requests; or the server does not read from this session for now.',
    'continues',
    'Send the same request with the same number again after `Retry-After`.',
  ],
  [
    503,
    'The node is starting, draining, full or busy; the node of the session did not answer; or the body did not come to its end in time.',
    'continues, where it was open',
    'Send the same request with the same number again after `Retry-After`.',
  ],
];

const ACTIONS = { stay_closed: 'stays closed', reconnect: 'reconnects', stop: 'stops' };

/**
 * @param {Record<string, {retryable: boolean}>} errors
 * @param {Record<string, {code: number}>} closes
 * @param {{ERROR_MEANINGS: Record<string, string>, CLOSE_MEANINGS: Record<string, string>}} meanings
 * @param {(code: number) => 'stay_closed' | 'reconnect' | 'stop'} actionOf
 * @param {Record<string, Record<string, {code: string, reason?: string, then: string}>>} table what test/e2e/nest/error-table.spec.ts found
 * @returns {string} docs/errors.md, before Prettier
 */
export function renderErrors(errors, closes, meanings, actionOf, table) {
  const lines = [
    '# Errors and close codes',
    '',
    '<!-- Generated by `npm run docs` from lib/protocol, scripts/docs/errors.mjs and scripts/docs/error-table.json. Do not edit. -->',
    '',
    'Every `error` message has a `code`, a `message` for humans that may change, and `docs`, which leads here. Decide by the code, and if you do not know it, by `retryable`.',
    '',
    '| code | retryable | HTTP | what happened |',
    '| --- | --- | --- | --- |',
    ...Object.entries(errors).map(
      ([code, { retryable }]) =>
        `| [\`${code}\`](#${code}) | ${retryableOf(code, retryable)} | ${known(ERROR_HELP, code, 'error code').http} | ${meanings.ERROR_MEANINGS[code]} |`,
    ),
    '',
    'The HTTP column is the status with the same meaning, that of a refusal before an upgrade; [requests of sessions over HTTP](#statuses-of-sessions-over-http) have a few more. `reason` and `data` of an error are the application’s (P6f).',
    '',
    '## Error codes',
    '',
  ];
  for (const [code, { retryable }] of Object.entries(errors)) {
    const { remedy } = known(ERROR_HELP, code, 'error code');
    const causes = known(ERROR_CAUSES, code, 'error code');
    lines.push(
      `### ${code}`,
      '',
      `**What happened.** ${meanings.ERROR_MEANINGS[code]}`,
      '',
      `**Why.** ${causes.length === 1 ? causes[0] : ''}`.trimEnd(),
      '',
      ...(causes.length === 1 ? [] : [...causes.map((cause) => `- ${cause}`), '']),
      `**What to do.** ${remedy}`,
      '',
      code === 'refused'
        ? 'The same command can succeed later if `retryAfterMs` is there, and the client then sends a publish or subscribe again by itself. Without it the command will fail again.'
        : retryable
          ? 'The same command can succeed later.'
          : 'The same command will fail again as long as nothing else changes.',
      '',
    );
  }
  lines.push(
    ...renderTable(table),
    ...renderStatuses(),
    '## Close codes',
    '',
    'The reason of a close frame is `name|retryAfterMs`, with 0 for no advice. The number alone decides whether to reconnect ([protocol, section 7](protocol.md#7-closing-and-reconnecting)).',
    '',
  );
  for (const [name, { code }] of Object.entries(closes)) {
    const [why, what] = known(CLOSE_NOTES, name, 'close code');
    lines.push(
      `### ${code} ${name}`,
      '',
      `**What happened.** ${meanings.CLOSE_MEANINGS[name]} The client ${ACTIONS[actionOf(code)]}.`,
      '',
      `**Why.** ${why}`,
      '',
      `**What to do.** ${what}`,
      '',
    );
  }
  return lines.join('\n');
}

/** What each exception becomes, by the command that it answers. */
function renderTable(table) {
  const columns = ['connect', 'subscribe', 'publish', 'request'];
  const cell = ({ code, reason, then }) =>
    `\`${code}\`${reason === undefined ? '' : ` · \`${reason}\``} — ${then.replace(/,? after (\d+) ms$/, then.startsWith('no') ? ' (`retryAfterMs` $1)' : '$&')}`;
  return [
    '## What your exceptions become',
    '',
    "A test throws each of these in every kind of handler, with the client of this package at the other end, and writes this table. **connect** is the authenticator and the connect hook, with the code of the close; **subscribe** is `@Authorize('subscribe')` and `@Snapshot()`; **publish** and **request** are their handlers and authorizations. Guards, interceptors, pipes and filters count as the handler that they stand before. What `@OnSubscribe()` and `@OnUnsubscribe()` throw is logged, and no client hears of it.",
    '',
    'A cell has the `code`, the `reason`, and whether the client tries again by itself, with the `retryAfterMs` that it was given.',
    '',
    `| thrown | ${columns.join(' | ')} |`,
    `| --- | ${columns.map(() => '---').join(' | ')} |`,
    ...Object.entries(table).map(
      ([name, cells]) => `| \`${name}\` | ${columns.map((column) => cell(cells[column])).join(' | ')} |`,
    ),
    '',
    '- The response object of an `HttpException`, and the object of a `WsException`: `code` (or `errorCode`, or an `error` of your own) becomes `reason`, `message` the message, `retryAfterMs` the advice, and the rest `data`. Without a code of its own, an `HttpException` has the name of its status as `reason`.',
    '- An error is the answer to a publish or a request: nothing is sent again unless it says `retryAfterMs`. To a connect or subscribe, which only ask, 408, 425, 429, 503 and 504 are answered with `retryAfterMs: 1000` unless they say something else.',
    '- A `RealtimeError` chooses its code itself. One that says what the library found, such as `conflict`, becomes the `reason` of `refused`: clients act on those codes.',
    '- An `HttpException` of 401 is `unauthorized` at connect and `forbidden` elsewhere, one of 403 is `forbidden`, and one of 400 or 422 with validation messages is `validation_failed` with `details[]`, as a `ValidationError[]` is. The others below 500, 503 and 504 are `refused`. A `WsException` is `refused`, or with a `status` what the `HttpException` would be.',
    '- A status of 500 and above (other than 503 and 504), and everything that is not listed, is `internal` with an id; the log has the stack under that id (G25). To a subscribe, and to a read of the state, of history or of members, it is `unavailable` with that id: the client asks again, after pauses that grow, so a database that was away for a moment ends no subscription.',
    '',
  ];
}

/** What the requests of sessions over HTTP are answered with. */
function renderStatuses() {
  return [
    '## Statuses of sessions over HTTP',
    '',
    'What `POST {path}/sse`, `/poll` and `/send` are answered with ([protocol, P21](protocol.md#p21-sse-and-long-poll-for-client-libraries)). The body of a refusal is `{statusCode, message, code?, close?, retryAfterMs?}`; its `message` says what is wrong with this request.',
    '',
    '| status | what happened | the session | what to do |',
    '| --- | --- | --- | --- |',
    ...SESSION_STATUSES.map((cells) => `| ${cells.join(' | ')} |`),
    '',
  ];
}

function retryableOf(code, retryable) {
  if (code === 'refused') return 'with `retryAfterMs`';
  return retryable ? 'yes' : 'no';
}

/** Codes that this script explains and the catalogue no longer has: they must go. */
export function strayNotes(errors, closes) {
  const stray = (notes, catalogue) => Object.keys(notes).filter((name) => !Object.hasOwn(catalogue, name));
  return [...stray(ERROR_HELP, errors), ...stray(ERROR_CAUSES, errors), ...stray(CLOSE_NOTES, closes)];
}

function known(notes, name, what) {
  if (Object.hasOwn(notes, name)) return notes[name];
  throw new Error(`scripts/docs/errors.mjs does not explain the ${what} "${name}" yet`);
}

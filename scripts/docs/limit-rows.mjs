// The rows of docs/limits.md: what each bound bounds, who is charged, and what happens there. The numbers come from the
// code, and limits.mjs refuses a row without its option and an option without its row.

/** @typedef {{kind: 'bytes' | 'count' | 'time', what: string, who: string, then: string, beside?: string}} Bound */

/** A bound in bytes. @returns {Bound} */
const bytes = (what, who, then) => ({ kind: 'bytes', what, who, then });

/** A bound in time. @returns {Bound} */
const time = (what, who, then) => ({ kind: 'time', what, who, then });

/**
 * A bound in count. What it counts must be bounded in bytes too.
 *
 * @param {string} beside the options (in backticks) that bound the bytes, or after `none:` why they need no bound
 * @returns {Bound}
 */
const count = (what, who, then, beside) => ({ kind: 'count', what, who, then, beside });

/** Rows by option. */
export const MODULE = {
  'limits.maxFrameBytes': bytes('one frame from a client', 'the connection', 'closes with 4806'),
  'limits.maxMessageBytes': bytes('one message from a client', 'the connection', 'closes with 4806'),
  'limits.maxUnfinishedBytes': bytes(
    'messages that have begun and not ended, commands before `welcome`, and what comes before an upgrade is answered, of all clients',
    'the node',
    'closes with 4006: of the address that holds most the client that holds most, of it the connection with the largest; logged',
  ),
  'limits.maxEnvelopesPerFrame': count(
    'messages in one frame',
    'the connection',
    'closes with 4805',
    '`limits.maxFrameBytes`',
  ),
  'limits.maxChannels': count(
    'subscriptions, with subscribes that are under way',
    'the connection',
    '`too_many_channels`',
    '`limits.maxRetainedBytes`',
  ),
  'limits.ratePerSecond': count(
    'commands a second, sustained',
    'the connection',
    '`rate_limited` with `retryAfterMs`, then the steps of `abuse`',
    '`limits.bytesPerSecond`',
  ),
  'limits.burst': count(
    'commands at once, above the rate',
    'the connection',
    'as `limits.ratePerSecond`',
    '`limits.bytesPerSecond`',
  ),
  'limits.bytesPerSecond': bytes(
    'frames a second, sustained; twice that at once. A frame counts as an eighth of what it takes of the memory, where that is more',
    'the connection',
    '`rate_limited` with `retryAfterMs`, then the steps of `abuse`',
  ),
  'limits.userRatePerSecond': count(
    'commands a second over all connections on one node; twice that at once',
    'the user',
    '`rate_limited` with `retryAfterMs`, then the steps of `abuse`',
    '`limits.bytesPerSecond`',
  ),
  'limits.answerBytesPerSecond': bytes(
    'answers a second: pages of history and members, snapshots, replies to requests; eight seconds’ worth at once',
    'the connection',
    'refuses further such commands with `rate_limited` and `retryAfterMs`; no violation',
  ),
  'limits.userAnswerBytesPerSecond': bytes(
    'the same over all connections on one node',
    'the user, or the address of anonymous clients',
    'as `limits.answerBytesPerSecond`',
  ),
  'limits.freeSubscribesEvery': time(
    'until twice `limits.maxChannels` subscribes are free again',
    'the user, or the address of anonymous clients',
    'counts further subscribes as commands',
  ),
  'limits.maxInFlight': count(
    'commands that run, and handlers that timed out and still run',
    'the connection',
    'keeps further commands waiting, and stops reading until half of them are done',
    '`limits.maxMessageBytes`',
  ),
  'limits.maxQueuedCommands': count(
    'commands that wait because `limits.maxInFlight` run, or for a turn of the event loop, for at most `handlerTimeout`',
    'the connection',
    '`rate_limited` with `retryAfterMs`',
    '`limits.maxQueuedBytes`',
  ),
  'limits.maxQueuedBytes': bytes(
    'the commands that wait, as memory',
    'the connection',
    '`rate_limited` with `retryAfterMs`',
  ),
  'limits.maxWaitingCommandBytes': bytes(
    'the commands that wait on all connections, and those that run, as memory, with 3 KiB more for each that runs; of one user, or the anonymous clients of an address, an eighth',
    'the node',
    '`rate_limited` with `retryAfterMs`; each client finds room for 16 KiB',
  ),
  'limits.framesPerCommand': count(
    'WebSocket frames, fragments, pings and pongs for each command that `limits.ratePerSecond` and `limits.burst` allow, of which a ping or pong counts as a whole command; twice `limits.maxChannels` more at once',
    'the connection',
    'stops reading until they are paid; closes with 4807 above twice the burst, or after the steps of `abuse`',
    'none: a frame that holds nothing is counted, not kept',
  ),
  'limits.deliveriesPerCommand': count(
    'subscribers on one node that a signal or a presence update reaches for one command; at most half of `limits.burst` is charged',
    'the connection and its user',
    '`rate_limited` for what follows',
    '`limits.maxMessageBytes`',
  ),
  'limits.maxVerifications': count(
    'credentials that are being verified, of handshakes, `hello` and `auth` together',
    'the node',
    'more wait for `limits.admissionWait`, and addresses take turns; then 429, 4006 or `rate_limited`; logged',
    '`limits.maxFrameBytes`, and `limits.maxWaitingBytes` of those that wait',
  ),
  'limits.maxVerificationsPerAddress': count(
    'credentials of one address that are being verified',
    'the address',
    'more wait for `limits.admissionWait`; then 429, 4006 or `rate_limited`; logged',
    '`limits.maxFrameBytes`, and `limits.maxWaitingBytes` of those that wait',
  ),
  'limits.connectsPerSecond': count(
    'new connections of one address a second; `limits.maxConnectionsPerAddress`, or twice the rate, at once',
    'the address',
    'upgrades wait for their turn; those that would wait longer than `limits.admissionWait` get 429 and `Retry-After`; logged',
    '`limits.maxWaitingBytes`',
  ),
  'limits.admissionWait': time(
    'the wait of a connection for its turn among those of its address, and of a credential for a place to be verified',
    'the address',
    'refuses with 429 and `Retry-After`, 4006 or `rate_limited`; logged',
  ),
  'limits.maxWaitingBytes': bytes(
    'connections that wait for their turn, and as much again of credentials that wait; each counts 8 KiB more than it sent',
    'the address',
    'refuses the last to come of the address that holds most, as above',
  ),
  'limits.maxRateBuckets': count(
    'users and addresses whose rate is remembered, for each kind of rate, and sessions that ended a short time ago',
    'the node',
    'forgets the oldest, whose buckets are then full',
    'none: names above 64 characters are kept as a digest',
  ),
  'limits.maxConnectionsPerAddress': count(
    'connections of one address on one node',
    'the address',
    'refuses with 429 and `Retry-After`; closes with 4009 where it authenticated meanwhile',
    '`outbox.maxBytes`',
  ),
  'limits.ipv6Prefix': count(
    'first bits of IPv6 addresses that are compared wherever a limit or a ban is of an address',
    'the address',
    'counts all addresses with these bits as one',
    'none: it is no amount',
  ),
  'limits.maxEventBytes': bytes(
    'one event or signal: payload and meta as JSON, and its names',
    'whoever sends it, the application too',
    '`message_too_large`',
  ),
  'limits.maxConnections': count(
    'connections of one node',
    'the node',
    'refuses with 503 and `Retry-After`; closes with 4006 where it authenticated meanwhile',
    '`outbox.maxBytes`',
  ),
  'limits.maxParamsBytes': bytes('`params` of one subscribe', 'the subscribe', '`message_too_large`'),
  'limits.maxPresenceBytes': bytes('presence data of one member', 'the command', '`message_too_large`'),
  'limits.maxRetainedBytes': bytes(
    'what subscriptions keep: 512 each, name, `params`, presence data',
    'the connection',
    '`rate_limited` with `retryAfterMs`',
  ),
  'limits.maxRetainedBytesPerUser': bytes(
    'the same, over all connections on one node',
    'the user, or the address of anonymous clients',
    '`rate_limited` with `retryAfterMs`',
  ),
  'limits.maxPageBytes': bytes(
    'one page of `history` or of members',
    'the command',
    'the page ends, with `more`; a single larger event is a page of its own',
  ),
  'limits.maxAnswerBytes': bytes(
    'one answer that a handler made: to a request, or with a snapshot',
    'the command',
    '`message_too_large`; the log names the handler',
  ),
  'limits.maxAppendBytes': bytes(
    'publishes that the broker has not answered',
    'the node',
    '`unavailable` with `retryAfterMs`; a single one passes',
  ),
  'limits.maxDistinctChannels': count(
    'different channels within `limits.distinctChannelsWindow`, without a subscription; at least twice `limits.maxChannels`',
    'the user, or the address of anonymous clients',
    '`rate_limited` with `retryAfterMs`',
    'none: a name is a hash of 4 bytes',
  ),
  'limits.distinctChannelsWindow': time(
    'how long different channels are counted together',
    'the user, or the address of anonymous clients',
    'forgets the names of the older half',
  ),
  'limits.maxServedChannels': count(
    'channels that are served at the same time',
    'the node',
    'a subscribe to another is `unavailable` with `retryAfterMs`',
    '`ringBytesPerNode`',
  ),
  'limits.dedupe': time(
    'how long a publish may be repeated under its id',
    'the channel',
    'the id is forgotten; a client gives up with `outcome_unknown` before',
  ),
  helloTimeout: time('from the upgrade to `hello`', 'the connection', 'closes with 4805'),
  handlerTimeout: time(
    'one run of a handler, authorization or snapshot of the application',
    'the command',
    '`timeout`',
  ),
  'heartbeat.interval': time('silence of a connection', 'the connection', 'sends `ping`'),
  'heartbeat.timeout': time('silence after a `ping`', 'the connection', 'closes with 4004'),
  'auth.requiredAhead': time(
    'life of a token that is left when the client is asked for another',
    'the connection',
    'sends `auth_required`; at the end of the token closes with 4008',
  ),
  'auth.jwt.clockTolerance': time(
    'difference of clocks that is forgiven at `exp` and `nbf`',
    'the token',
    'refuses with `token_expired` or `unauthorized`',
  ),
  'auth.jwt.maxAge': time('age of a token since its `iat`', 'the token', 'refuses with `token_expired`'),
  'abuse.throttleAfter': count(
    'violations of the limits within `abuse.window`',
    'the connection',
    'stops reading for up to a second',
    'none: only a number is kept',
  ),
  'abuse.closeAfter': count(
    'violations of the limits within `abuse.window`',
    'the connection',
    'closes with 4807 and bans for `abuse.ban`',
    'none: only a number is kept',
  ),
  'abuse.authFailures': count(
    'refused credentials within `abuse.authFailureWindow`',
    'the address',
    'answers further ones that are not valid with 429 or `rate_limited`; logged. Valid ones are admitted',
    'none: only a number is kept',
  ),
  'abuse.authFailureWindow': time(
    'in which `abuse.authFailures` refusals are forgotten',
    'the address',
    'answers with the reason again',
  ),
  'abuse.window': time('how long violations are counted together', 'the connection', 'counts from zero'),
  'abuse.ban': time(
    'a ban for abuse',
    'the user, or the address of an anonymous client',
    'closes with 4803 in answer to `hello`',
  ),
  'outbox.maxBytes': bytes(
    'what waits for the client',
    'the connection',
    'signals go first, then changes of members, then the channel’s `overflow` policy decides. Reads that do not fit are `rate_limited`, other answers close with 4003. An empty outbox takes one message of any size that was admitted',
  ),
  'outbox.maxBytesPerUser': bytes(
    'what waits for all connections on one node',
    'the user, or the address of anonymous clients',
    'as `outbox.maxBytes`, for connections for which more than 64 KiB waits',
  ),
  'outbox.maxBytesPerNode': bytes(
    'what waits for all connections, in queues and sockets; what several share counts once',
    'the node',
    'closes the fullest connections for which more than 64 KiB waits with 4003, those first that are closing and hold bytes; logged. Above half of it, replays and reads of such connections wait or are `rate_limited`',
  ),
  'outbox.maxMessages': count(
    'messages that wait for the client',
    'the connection',
    'as `outbox.maxBytes`',
    '`outbox.maxBytes`',
  ),
  maxFlushDelay: time('how long events wait to share a write', 'the node', 'writes'),
  linger: time(
    'how long a channel is served after its last subscriber',
    'the node',
    'leaves it at the broker',
  ),
  ringSize: count(
    'recent events of a served channel',
    'the node',
    'drops the oldest; replays read them from the log',
    '`ringBytes`',
  ),
  ringBytes: bytes(
    'recent events of a served channel',
    'the node',
    'drops the oldest but one; replays read them from the log',
  ),
  ringBytesPerNode: bytes(
    'recent events of all served channels',
    'the node',
    'the channel that had no event for longest keeps only its newest, then the next; replays read the others from the log',
  ),
  presenceLease: time('membership of a node that died', 'the channel', 'its members leave'),
  'drain.deadline': time('a drain', 'the node', 'closes what is left'),
  'compression.concurrency': count(
    'client frames that are inflated at once',
    'the node',
    'the next one waits',
    '`limits.maxFrameBytes`',
  ),
  proxyIdleTimeout: time(
    'silence that proxies allow; `heartbeat` must be shorter',
    'the operator',
    'a boot error',
  ),
};

/** The subjects of the module's rows, in the order of the document. Each row stands in one of them. */
export const MODULE_GROUPS = [
  {
    title: 'One message',
    says: 'How large a single thing may be. What is larger is refused by itself; only a frame or message that is too large ends its connection.',
    options: [
      'limits.maxFrameBytes',
      'limits.maxMessageBytes',
      'limits.maxEnvelopesPerFrame',
      'limits.maxEventBytes',
      'limits.maxParamsBytes',
      'limits.maxPresenceBytes',
      'limits.maxPageBytes',
      'limits.maxAnswerBytes',
    ],
  },
  {
    title: 'Rates',
    says: 'What a client may send, and make the node do, all the time. Each is a bucket that fills again: a short burst passes, and who is above it is told when to come back.',
    options: [
      'limits.ratePerSecond',
      'limits.burst',
      'limits.bytesPerSecond',
      'limits.userRatePerSecond',
      'limits.framesPerCommand',
      'limits.deliveriesPerCommand',
      'limits.answerBytesPerSecond',
      'limits.userAnswerBytesPerSecond',
      'limits.freeSubscribesEvery',
      'limits.maxDistinctChannels',
      'limits.distinctChannelsWindow',
    ],
  },
  {
    title: 'Abuse',
    says: 'What happens to who stays above the rates (G16).',
    options: [
      'abuse.throttleAfter',
      'abuse.closeAfter',
      'abuse.window',
      'abuse.ban',
      'abuse.authFailures',
      'abuse.authFailureWindow',
    ],
  },
  {
    title: 'Commands that run or wait',
    says: 'How much of what clients asked for is under way.',
    options: [
      'limits.maxInFlight',
      'limits.maxQueuedCommands',
      'limits.maxQueuedBytes',
      'limits.maxWaitingCommandBytes',
      'handlerTimeout',
      'limits.maxAppendBytes',
      'limits.dedupe',
    ],
  },
  {
    title: 'Connections that come in',
    says: 'How many there are, how fast new ones come, and what is kept for them before they are known (G17).',
    options: [
      'limits.maxConnections',
      'limits.maxConnectionsPerAddress',
      'limits.connectsPerSecond',
      'limits.admissionWait',
      'limits.maxWaitingBytes',
      'limits.maxVerifications',
      'limits.maxVerificationsPerAddress',
      'limits.maxUnfinishedBytes',
      'limits.ipv6Prefix',
      'limits.maxRateBuckets',
      'helloTimeout',
      'compression.concurrency',
    ],
  },
  {
    title: 'Connections that last',
    says: 'When silence, the end of a token or a drain ends them.',
    options: [
      'heartbeat.interval',
      'heartbeat.timeout',
      'proxyIdleTimeout',
      'auth.requiredAhead',
      'auth.jwt.clockTolerance',
      'auth.jwt.maxAge',
      'drain.deadline',
    ],
  },
  {
    title: 'What waits for clients',
    says: 'The outbox of a connection is what its client has not taken yet, in the queue and in the socket (G13).',
    options: [
      'outbox.maxBytes',
      'outbox.maxMessages',
      'outbox.maxBytesPerUser',
      'outbox.maxBytesPerNode',
      'maxFlushDelay',
    ],
  },
  {
    title: 'What a node keeps',
    says: 'Subscriptions, and the recent events and members of the channels that have some.',
    options: [
      'limits.maxChannels',
      'limits.maxRetainedBytes',
      'limits.maxRetainedBytesPerUser',
      'limits.maxServedChannels',
      'linger',
      'ringSize',
      'ringBytes',
      'ringBytesPerNode',
      'presenceLease',
    ],
  },
];

/** The subjects of the fixed bounds, by the folders of their constants. */
export const FIXED_GROUPS = [
  { title: 'The protocol', says: 'The same for every server and client.', folders: ['lib/protocol'] },
  {
    title: 'Who comes in',
    says: 'Requests, credentials, bans and rates.',
    folders: ['lib/transports', 'lib/core/access', 'lib/core/engine'],
  },
  {
    title: 'Sessions and their commands',
    says: 'What one session keeps, and how commands share the node.',
    folders: ['lib/core/session', 'lib/core/commands', 'lib/core/async', 'lib/core/ports'],
  },
  {
    title: 'Channels and their logs',
    says: 'What is kept between the log of a channel and its subscribers.',
    folders: ['lib/core/hub', 'lib/core/log'],
  },
  { title: 'Outboxes', says: 'Writes to clients.', folders: ['lib/core/outbox'] },
  { title: 'The memory broker itself', says: 'Beside its options.', folders: ['lib/brokers/memory'] },
  { title: 'The Redis broker itself', says: 'Beside its options.', folders: ['lib/brokers/redis'] },
  {
    title: 'The module itself',
    says: 'What it does with the application’s errors, its log and its end.',
    folders: ['lib/nest', 'lib/health'],
  },
  { title: 'The client itself', says: 'Beside its options.', folders: ['lib/client'] },
];

export const CHANNEL = {
  'history.size': count('events that are kept', 'the channel', 'forgets the oldest', '`history.maxBytes`'),
  'history.maxBytes': bytes('events that are kept, as JSON', 'the channel', 'forgets the oldest'),
  'history.ttl': time('age of an event that is kept', 'the channel', 'forgets it'),
  'history.replay': count(
    'events that one resume replays',
    'the subscription',
    '`truncated` with cause `limit`',
    '`outbox.maxBytes`',
  ),
  'presence.grace': time('absence of a device', 'the member', 'the member leaves'),
  'presence.maxMembers': count(
    'members of which each change is sent',
    'the channel',
    'sends their number, at most once a second',
    '`limits.maxPresenceBytes` for each: 800 KiB',
  ),
  dedupe: time('how long ids are remembered', 'the channel', 'forgets the id'),
};

export const MEMORY = {
  maxBytes: bytes(
    'everything in the store: events, ids, members, records of channels',
    'the store',
    'forgets the idle channel, or drops the oldest events of the other one, whose last append is the oldest; where none is left, `unavailable` for what must stay',
  ),
  maxIdBytes: bytes(
    'remembered ids of publishes',
    'the store; half of it for all anonymous sessions',
    '`rate_limited` with `retryAfterMs` until ids have ended',
  ),
  idShare: count(
    'part of the free `maxIdBytes` that one producer may hold',
    'the user, or the anonymous session',
    '`rate_limited` with `retryAfterMs`: until its oldest id ends',
    '`maxIdBytes`',
  ),
  maxIdleChannels: count(
    'channels without a subscriber',
    'the store',
    'forgets the one whose last append is the oldest: `lost` for a client that comes back',
    '`maxBytes`',
  ),
  headMs: time('the head of an unused channel', 'the channel', 'forgets it: the next epoch begins'),
  controlTimeoutMs: time(
    'a node’s confirmation of a control record',
    'the record',
    'counts the node as missing',
  ),
};

export const REDIS = {
  'durability.timeoutMs': time('what replicas need to confirm', 'the publish', '`timeout`: outcome unknown'),
  connectTimeoutMs: time('reaching Redis at the start', 'the node', 'the start fails'),
  commandTimeoutMs: time(
    'the answer to a command',
    'the command',
    '`timeout` or `unavailable`: outcome unknown',
  ),
  maxReconnectMs: time('the pause between two attempts to connect', 'the node', 'tries again'),
  maxQueued: count(
    'commands that wait or are under way',
    'the node',
    '`unavailable` at once',
    '`maxQueuedBytes`',
  ),
  maxQueuedBytes: bytes(
    'events, changes of members, and all other commands, that wait or are under way: as much each',
    'the node',
    '`unavailable` at once',
  ),
  maxBatch: count('events of one script call', 'the node', 'the rest waits for the next', '`maxBatchBytes`'),
  maxBatchBytes: bytes('events of one script call', 'the node', 'the rest waits for the next'),
  maxIdsPerProducer: count(
    'remembered ids of one user in all channels, within two dedupe windows',
    'the user; all anonymous clients together have five times as many',
    '`rate_limited` until ids have ended; repeats of what is remembered are answered as such',
    'none: an id is about 160 bytes',
  ),
  pipelineDepth: count('script calls under way', 'the node', 'the next one waits', '`maxBatchBytes`'),
  maxReadBytes: bytes(
    'events of one read, members of one page',
    'the read',
    'ends before the first that does not fit; the next one continues',
  ),
  'tipCheck.intervalMs': time(
    'how long a lost last event stays unnoticed',
    'the channel',
    'compares the tip',
  ),
  unsubscribeLingerMs: time('a subscription at the server after its last use', 'the node', 'unsubscribes'),
  headMs: time('the head of an unused channel', 'the channel', 'expires: the next epoch begins'),
  nodeTtlMs: time('silence of a node', 'the node', 'is not waited for any more'),
  controlTimeoutMs: time(
    'a node’s confirmation of a control record',
    'the record',
    'counts the node as missing',
  ),
  controlMaxAgeMs: time(
    'age of the proof that this node knows every revoke',
    'the node',
    'withholds channels that are not public, until it has a younger one (G11)',
  ),
};

export const WEBSOCKET = {
  handshakeTimeoutMs: time(
    'verification of the credentials of an upgrade',
    'the upgrade',
    'refuses with 503',
  ),
  closeTimeoutMs: time('the answer to a close frame', 'the connection', 'destroys the socket'),
};

export const CLIENT = {
  connectTimeoutMs: time(
    'from the start of an attempt to `welcome`; one run of the token provider',
    'the client',
    'tries again after a pause',
  ),
  requestTimeoutMs: time(
    'the answer to a command; connecting has `connectTimeoutMs`',
    'the command',
    '`timeout`, or `outcome_unknown` for a request that was sent; a subscribe is sent again by itself',
  ),
  publishTimeoutMs: time('how long a publish waits to be sent', 'the publish', '`timeout`'),
  maxPendingCommands: count(
    'commands that wait for a connection or an answer, beside subscribes and unsubscribes',
    'the client',
    '`rate_limited`; nothing is sent',
    '`limits.maxMessageBytes`',
  ),
  maxQueuedPublishes: count(
    'publishes that wait for their answer',
    'the client',
    '`rate_limited`; nothing is sent',
    '`maxQueuedBytes`',
  ),
  maxQueuedBytes: bytes(
    'publishes that wait for their answer',
    'the client',
    '`rate_limited`; nothing is sent',
  ),
  maxPresenceMembers: count(
    'members that are kept',
    'the channel',
    'only their number is known',
    '`limits.maxPresenceBytes` of the server for each: 40 MiB, in the memory of the client alone',
  ),
};

/** Bounds without an option: `file#constant`, and after a colon in `then` why it is fixed. */
export const FIXED = {
  'lib/nest/errors/error-bounds.ts#MAX_REASON_LENGTH': bytes(
    'the `reason` of an application’s error, in characters',
    'the answer',
    'cuts it: part of the protocol (P6f)',
  ),
  'lib/nest/errors/error-bounds.ts#MAX_MESSAGE_LENGTH': bytes(
    'the message of an application’s error, in characters',
    'the answer',
    'cuts it',
  ),
  'lib/nest/errors/error-bounds.ts#MAX_ERROR_DATA_BYTES': bytes(
    'the `data` of an application’s error, as JSON',
    'the answer',
    'leaves it out, and the log names the handler: part of the protocol (P6f)',
  ),
  'lib/nest/errors/error-bounds.ts#MAX_DETAIL_LENGTH': bytes(
    'the path and the text of one finding in `details`, in characters',
    'the answer',
    'cuts it',
  ),
  'lib/nest/errors/error-bounds.ts#MAX_DETAILS_BYTES': bytes(
    'the `details` of an application’s error, as JSON',
    'the answer',
    'leaves out the findings that do not fit',
  ),
  'lib/protocol/channel-name.ts#MAX_CHANNEL_LENGTH': bytes(
    'a channel name, in ASCII characters',
    'the command',
    '`bad_request`: part of the protocol (P23)',
  ),
  'lib/protocol/envelope.ts#MAX_ID_LENGTH': bytes(
    'an id, in characters',
    'the command',
    '`bad_request`: ids are remembered, so part of the protocol (P5)',
  ),
  'lib/protocol/envelope.ts#MAX_EVENT_LENGTH': bytes(
    'the name of an event, in characters',
    'the command',
    '`bad_request`: part of the protocol',
  ),
  'lib/protocol/envelope.ts#MAX_KEY_LENGTH': bytes(
    'a conflation key, in characters',
    'the command',
    '`bad_request`: part of the protocol',
  ),
  'lib/protocol/envelope.ts#MAX_DEPTH': count(
    'nesting of arrays and objects in a message',
    'the connection',
    'closes with 4805: deeper ones only serve to exhaust the stack',
    '`limits.maxMessageBytes`',
  ),
  'lib/protocol/validation/command-schemas.ts#MAX_PAGE': count(
    'events or members of one page of `history` or `presence`',
    'the command',
    'gives fewer, with `more`: part of the protocol',
    '`limits.maxPageBytes`',
  ),
  'lib/core/access/verifications.ts#MAX_REASON_LENGTH': bytes(
    'why a token was refused, in characters of a debug line',
    'the log',
    'cuts it: the authenticator may quote much',
  ),
  'lib/core/access/ban-list.ts#MAX_BANS': count(
    'users, and addresses, that are refused at once',
    'the node',
    'forgets the oldest: memory has an end, and the broker keeps the bans of administrators',
    'none: a ban is a name and a reason',
  ),
  'lib/core/engine/abuse-bans.ts#MAX_RECORDS': count(
    'bans for abuse of which one node tells the others at once',
    'the node',
    'applies further ones on this node alone; logged: who has many addresses must not fill the log of control records',
    'none: a record is a name and a time',
  ),
  'lib/core/engine/abuse-bans.ts#RECORD_EVERY_MS': time(
    'until one more of them may be sent',
    'the node',
    'applies the ban on this node alone; logged',
  ),
  'lib/core/session/channels.ts#MAX_OWN_NAMES': count(
    'names of channels that an anonymous connection may use whatever others at its address named',
    'the connection',
    'beyond them `limits.maxDistinctChannels` of the address decides',
    'none: names of channels',
  ),
  'lib/core/session/memory.ts#SHARE_BYTES': bytes(
    'what an anonymous connection may keep whatever others at its address keep',
    'the connection',
    'beyond it `limits.maxRetainedBytesPerUser` of the address decides',
  ),
  'lib/core/engine/composition.ts#MAX_SHARE_BYTES': bytes(
    'answers that an anonymous connection gets at once whatever those to others at its address cost; 4 KiB a second come back',
    'the connection',
    'beyond them `limits.userAnswerBytesPerSecond` of the address decides',
  ),
  'lib/core/ports/user-id.ts#MAX_USER_ID_BYTES': bytes(
    'the id of a user (P3h)',
    'the client',
    'refuses the credential as `unauthorized`; logged',
  ),
  'lib/core/access/ticket.ts#MAX_TICKET_LENGTH': bytes(
    'a session ticket, in characters',
    'the connection',
    'the ticket is ignored: no longer one is ever given',
  ),
  'lib/core/log/page-cache.ts#MAX_PAGES': count(
    'pages of logs that replays share',
    'the node',
    'drops the oldest: enough for the replays of a moment',
    '`lib/core/log/page-cache.ts#MAX_BYTES`',
  ),
  'lib/core/log/page-cache.ts#MAX_BYTES': bytes(
    'events of those pages',
    'the node',
    'drops the oldest page but one: they only save reads',
  ),
  'lib/core/log/page-cache.ts#PAGE': count(
    'events of such a page',
    'the node',
    'reads the next: a page is one read of the log',
    '`lib/core/log/page-cache.ts#MAX_BYTES`',
  ),
  'lib/core/log/page-cache.ts#KEEP_MS': time(
    'how long such pages are kept unused',
    'the node',
    'drops all: they serve clients that come back together',
  ),
  'lib/core/hub/order-keeper.ts#MAX_HELD': count(
    'events that wait behind a gap',
    'the channel',
    'reads the others from the log: memory only saves reads here',
    '`lib/core/hub/order-keeper.ts#MAX_HELD_BYTES`',
  ),
  'lib/core/hub/order-keeper.ts#MAX_HELD_BYTES': bytes(
    'events that wait behind a gap',
    'the channel',
    'reads the others from the log',
  ),
  'lib/core/hub/hub.ts#MAX_EARLY': count(
    'events that arrive before the tip of a channel is known',
    'the channel',
    'reads the others from the log',
    '`lib/core/hub/hub.ts#MAX_EARLY_BYTES`',
  ),
  'lib/core/hub/hub.ts#MAX_EARLY_BYTES': bytes(
    'events that arrive before the tip of a channel is known',
    'the channel',
    'reads the others from the log',
  ),
  'lib/core/hub/local-channel.ts#MAX_PENDING_BYTES': bytes(
    'events of one turn that wait to share a write',
    'the channel',
    'writes at once',
  ),
  'lib/core/async/turns.ts#TURN_MS': time(
    'work of clients in one turn of the event loop that is done as it comes',
    'the node',
    'the rest waits for the next turns, by user or address: the event loop must stay free',
  ),
  'lib/core/async/turns.ts#WAITED_MS': time(
    'work that waited, in one turn of the event loop',
    'the node',
    'the rest waits for the next turns: a server accepts one connection in each',
  ),
  'lib/core/outbox/flush-scheduler.ts#SESSIONS_MS': time(
    'writes to clients that each have something of their own, in one turn of the event loop',
    'the node',
    'the rest waits for the next turns, in its order',
  ),
  'lib/core/async/turns.ts#MAX_WAITING': count(
    'pieces of work that wait for a turn of the event loop, beside the first of each user or address',
    'the node',
    '`rate_limited` with `retryAfterMs`',
    '`limits.maxWaitingCommandBytes`',
  ),
  'lib/core/async/turns.ts#MAX_WAITING_OF_CLIENT': count(
    'those of one user, or of the anonymous clients of an address',
    'the user',
    '`rate_limited` with `retryAfterMs`',
    '`limits.maxWaitingCommandBytes`',
  ),
  'lib/core/async/stalls.ts#STALL_MS': time(
    'a timer that is late, before it counts as a stall of the node',
    'the node',
    'counts what clients sent meanwhile as if it had been read in time',
  ),
  'lib/core/async/stalls.ts#MAX_CREDIT_MS': time(
    'a stall of the node for which clients are credited',
    'the node',
    'counts the rest as if they had sent it at once',
  ),
  'lib/core/session/backlog.ts#HOLD_BYTES': bytes(
    'commands that wait for a turn of the event loop while the client is still read',
    'the connection',
    'stops reading until they had their turn',
  ),
  'lib/core/async/waiting-lines.ts#OVERHEAD_BYTES': bytes(
    'what each connection or credential that waits counts more than it sent',
    'the address',
    'counts towards `limits.maxWaitingBytes`',
  ),
  'lib/core/outbox/outbox-budget.ts#SHARE_BYTES': bytes(
    'what waits for a connection that others, of its user or of the node, never take from it',
    'the connection',
    '`outbox.maxBytesPerUser` and `outbox.maxBytesPerNode` count: about one frame, so that a client that reads is never affected',
  ),
  'lib/core/access/channel-names.ts#MAX_NAMES': count(
    'names of channels that are remembered for all clients',
    'the node',
    'forgets those of the client that came first',
    'none: a name is a hash of 4 bytes',
  ),
  'lib/core/hub/order-keeper.ts#HEAL_PAGE': count(
    'events of one read that closes a gap',
    'the channel',
    'reads the next page: any size heals',
    '`maxReadBytes` of Redis; in memory a read copies no event',
  ),
  'lib/core/hub/member-pages.ts#DEFAULT_LIMIT': count(
    'members of a page, also of the answer to a subscribe',
    'the command',
    'the client reads the others in pages: part of the protocol (P22)',
    '`limits.maxPageBytes`',
  ),
  'lib/protocol/wire-value.ts#MAX_VALUE_DEPTH': count(
    'nesting of arrays and objects in a value that is sent',
    'whoever sends it, the application too',
    '`bad_request` with the path: part of the protocol (P29d)',
    '`limits.maxEventBytes`',
  ),
  'lib/core/hub/presence-feed.ts#COUNT_INTERVAL_MS': time(
    'between two numbers of members of a large channel',
    'the channel',
    'sends the last: part of the protocol (P22b)',
  ),
  'lib/core/commands/publish-runs.ts#MAX_TIMEOUTS': count(
    'times `handlerTimeout` that a publish handler may take while its publish is sent again',
    'the publish',
    '`outcome_unknown` at once (P15c)',
    'none: what the handler holds is the application’s',
  ),
  'lib/core/commands/reauthorization.ts#AT_ONCE': count(
    'authorizations of a recheck that run at once',
    'the node',
    'the next one waits: each may query a database',
    'none: an authorization keeps nothing',
  ),
  'lib/core/commands/subscribe.ts#PAGE_ATTEMPTS': count(
    'reads of members that change under the reader',
    'the subscribe',
    'takes the last: a further change is sent as an event',
    'none: one page is kept at a time',
  ),
  'lib/core/commands/take-over.ts#SUPERSEDE_WAIT_MS': time(
    'waiting for the node of an earlier connection',
    'the connection',
    'continues: a node that was killed never answers',
  ),
  'lib/core/async/retry-queue.ts#RETRY_MS': time(
    'between two attempts of what the broker refused',
    'the node',
    'tries again: short beside every outage',
  ),
  'lib/core/access/subject-buckets.ts#MAX_KEY_LENGTH': bytes(
    'the name of a user or address in a table of rates',
    'the node',
    'keeps a digest of it',
  ),
  'lib/core/async/throttled-log.ts#INTERVAL_MS': time(
    'between two warnings of one kind that clients can cause',
    'the node',
    'counts those between, and says how many',
  ),
  'lib/core/async/throttled-log.ts#MAX_KINDS': count(
    'kinds of such warnings that are told apart',
    'the node',
    'further kinds share one',
    'none: kinds are names that the application chose',
  ),
  'lib/core/session/inbound-limiter.ts#MAX_PONGS_DUE': count(
    'pings that a client may answer later at no cost',
    'the connection',
    'counts further pongs as commands',
    'none: only a number is kept',
  ),
  'lib/core/session/inbound-limiter.ts#MAX_THROTTLE_MS': time(
    'one pause in reading for a violation',
    'the connection',
    'reads on: a heartbeat must fit',
  ),
  'lib/core/session/token-watch.ts#MAX_WAIT_MS': time(
    'one wait for the end of a token',
    'the connection',
    'waits again: timers are exact only so far ahead',
  ),
  'lib/core/engine/delivery-freeze.ts#PER_TURN': count(
    'subscriptions that continue in one turn after events were withheld',
    'the node',
    'the others wait a turn: the event loop must stay free',
    '`outbox.maxBytes`',
  ),
  'lib/core/outbox/outbox.ts#MAX_FRAME_BYTES': bytes(
    'what the outbox puts into one frame, give or take one message',
    'the connection',
    'begins the next: larger ones gain nothing',
  ),
  'lib/core/ports/clock.ts#MAX_TIMER_MS': time(
    'one timer of the platform',
    'the node',
    'waits no longer than that: Node fires longer ones at once',
  ),
  'lib/transports/http/subprotocol-header.ts#MAX_ELEMENTS': count(
    'elements of `Sec-WebSocket-Protocol`',
    'the upgrade',
    'refuses with 400: clients send two or three',
    'none: Node bounds the headers of a request at 16 KiB',
  ),
  'lib/transports/http/origin.ts#MAX_LENGTH': bytes(
    'an `Origin`, in characters',
    'the upgrade',
    'refuses with 403: browsers send shorter ones, and it is matched with patterns of the application',
  ),
  'lib/transports/http/upgrade-router.ts#STRAY_AFTER_MS': time(
    'an upgrade that nobody takes',
    'the upgrade',
    'refuses with 404: another listener may be slower',
  ),
  'lib/transports/http/refusal.ts#LINGER_MS': time(
    'a refused socket that its client does not close',
    'the socket',
    'destroys it: the answer has long arrived',
  ),
  'lib/transports/sse/feed-request.ts#MAX_URL_BYTES': bytes(
    'the URL of a plain stream, without the id in it',
    'the request',
    'refuses with 414, which names both numbers: nginx takes a request line of 8 KiB',
  ),
  'lib/transports/sse/resume-id.ts#MAX_ID_BYTES': bytes(
    'the id of a plain stream, which holds a position for each channel',
    'the stream',
    'refuses with 414, which names both numbers; a stream that would need a longer one ends with `message_too_large`',
  ),
  'lib/transports/sse/transport.ts#ID_EVERY_MS': time(
    'what a plain stream of several channels carries without an id behind it',
    'the stream',
    'writes one: what follows the last id may come twice',
  ),
  'lib/transports/sse/feed.ts#ID_AFTER_BYTES': bytes(
    'what a plain stream of several channels carries without an id behind it',
    'the stream',
    'writes one: what follows the last id may come twice',
  ),
  'lib/transports/sse/pace.ts#SLICE_MS': time(
    'ids of plain streams that are written in one go',
    'the node',
    'writes the rest behind the work of others',
  ),
  'lib/transports/websocket/connection.ts#FLOODER_LINGER_MS': time(
    'a socket whose client floods on behind its close frame',
    'the socket',
    'destroys it: what it keeps is large',
  ),
  'lib/core/session/unparsed-frames.ts#MAX_WAITING_BYTES': bytes(
    'frames that are not parsed yet: before `welcome`, and behind one that waits for its turn',
    'the connection',
    'stops reading behind the frame that exceeds it; over all connections: `limits.maxUnfinishedBytes`',
  ),
  'lib/core/session/unparsed-frames.ts#MEDIUM_BYTES': bytes(
    'a frame that is parsed at once, whatever others do',
    'the frame',
    'waits for its turn where a turn of the event loop took long enough',
  ),
  'lib/core/session/unparsed-frames.ts#LARGE_BYTES': bytes(
    'a frame that has its turn like any other work',
    'the frame',
    'waits behind the work of others',
  ),
  'lib/core/session/waiting-bytes.ts#SHARE_BYTES': bytes(
    'commands that find room where `limits.maxWaitingCommandBytes` is used up by others',
    'the client',
    '`rate_limited` with `retryAfterMs`',
  ),
  'lib/core/ports/value-weight.ts#MAX_WEIGHED': bytes(
    'a value that is looked through for what it weighs',
    'the value',
    'counts as no more: `limits.maxMessageBytes` is smaller',
  ),
  'lib/core/session/inbound-limiter.ts#BLANK_VIOLATION_BYTES': bytes(
    'a frame without a command, above `limits.bytesPerSecond`, that counts as one violation',
    'the connection',
    'counts the next one: see `abuse`',
  ),
  'lib/transports/websocket/connection.ts#MAX_BYTES_BEHIND_CLOSE': bytes(
    'what is read behind a close frame',
    'the connection',
    'reads no more: it is what was under way',
  ),
  'lib/core/session/unfinished-messages.ts#SMALL_BYTES': bytes(
    'what is not counted of a message that has not ended',
    'the connection',
    'counts: less is what an idle connection costs',
  ),
  'lib/transports/websocket/connection.ts#MAX_REASON_BYTES': bytes(
    'the reason of a close',
    'the connection',
    'is cut: RFC 6455 bounds it',
  ),
  'lib/transports/websocket/ws-server.ts#MAX_FRAME_BYTES': bytes(
    'what `ws` can be told as the size of a frame',
    'the connection',
    'takes no larger `limits.maxFrameBytes`: a number of 31 bits',
  ),
  'lib/brokers/memory/channel-log.ts#MAX_FORKS': count(
    'earlier epochs of a channel',
    'the channel',
    'positions of older ones are `lost`: an epoch ends rarely',
    'none: an epoch is a name and a number',
  ),
  'lib/core/log/recent-publishes.ts#MAX_BYTES': bytes(
    'publishes that a node remembers in front of its broker',
    'the node; an eighth of a half for one producer',
    'forgets the oldest, of the producer first: the broker decides',
  ),
  'lib/brokers/memory/control.ts#MAX_ABUSE_BANS': count(
    'bans for abuse that are kept for nodes that start later',
    'the broker',
    'forgets the oldest: clients cause them',
    'none: a ban is a name and a time',
  ),
  'lib/brokers/memory/pressure.ts#QUIET_MS': time(
    'the pause between two lines that say what was dropped or refused',
    'the log',
    'the next line has the sums',
  ),
  'lib/brokers/memory/room.ts#MAX_DEPTH': count(
    'nesting of presence data that is compared',
    'the member',
    'counts as changed: the stack must hold',
    '`limits.maxMessageBytes`',
  ),
  'lib/brokers/redis/append/batch.ts#MAX_RECORD_BYTES': bytes(
    'events in one stored record',
    'the channel',
    'begins another: a read of one event reads its record',
  ),
  'lib/brokers/redis/append/batch.ts#PROBE_HEAD_MS': time(
    'the log of a probe',
    'the node',
    'expires: every start has its own',
  ),
  'lib/brokers/redis/control/control.ts#KEPT_RECORDS': count(
    'control records that are kept',
    'the cluster',
    'drops the oldest; a node that missed them asks every authorization again: days of moderation',
    'none: a record is of names and a reason, which the application alone writes, and in the memory of Redis',
  ),
  'lib/brokers/redis/control/control.ts#ANSWERS_MS': time(
    'how long confirmations can be looked up',
    'the record',
    'they expire: longer than any `controlTimeoutMs`',
  ),
  'lib/brokers/redis/control/control.ts#BANS_PAGE': count(
    'bans of one command',
    'the node',
    'reads the next page: Redis must not stand still',
    'none: a ban is a name and a reason',
  ),
  'lib/brokers/redis/control/control-log.ts#PAGE': count(
    'control records of one read',
    'the node',
    'reads the next page: any size catches up',
    'none: records are small',
  ),
  'lib/brokers/redis/log.ts#MAX_READ': count(
    'events of one read',
    'the read',
    'answers with a part; the next read continues (G8): Redis must not stand still',
    '`maxReadBytes`',
  ),
  'lib/brokers/redis/log.ts#TIPS_BATCH': count(
    'channels of one look at tips',
    'the node',
    'the others follow: Redis must not stand still',
    'none: a tip is a name and a number',
  ),
  'lib/brokers/redis/presence.ts#BATCH': count(
    'changes of members in one script call',
    'the node',
    'the rest waits for the next: Redis must not stand still',
    '`maxBatchBytes`',
  ),
  'lib/brokers/redis/presence.ts#MAX_PAGE': count(
    'members of one page',
    'the read',
    'answers with a part: part of the protocol',
    '`maxReadBytes`',
  ),
  'lib/brokers/redis/presence.ts#MAX_LEASE_MS': time(
    'a lease of a member',
    'the member',
    'is shortened: scores of sorted sets are exact so far',
  ),
  'lib/brokers/redis/presence.ts#DUE_CHANNELS': count(
    'channels of one look for ended leases',
    'the node',
    'the next look finds the rest: Redis must not stand still',
    'none: only names',
  ),
  'lib/brokers/redis/connection/read-window.ts#MAX_UNDER_WAY': count(
    'reads of logs and members that Redis is asked for at once',
    'the node, for each server',
    'the others wait for their turn, within `maxQueued` and `maxQueuedBytes`',
    '`maxReadBytes`',
  ),
  'lib/brokers/redis/connection/read-window.ts#MAX_WAIT_MS': time(
    'a read that waits behind those under way on one connection',
    'the read',
    '`timeout`, and it is not begun: its client asks again',
  ),
  'lib/brokers/redis/settings.ts#MAX_MESSAGE_BYTES': bytes(
    'one event or signal, and the events of one script call',
    'the publisher',
    '`message_too_large`, before it is sent',
  ),
  'lib/brokers/redis/scripts/room.ts#MAX_DIFF_BYTES': bytes(
    'members in one message of changes',
    'the channel',
    'the others are the next version, in another message',
  ),
  'lib/brokers/redis/tip-check.ts#BATCH': count(
    'channels of one tip check',
    'the node',
    'the others follow: Redis must not stand still',
    'none: a tip is a name and a number',
  ),
  'lib/brokers/redis/tip-check.ts#PAGE': count(
    'missing events that a tip check delivers',
    'the channel',
    'the order keeper reads the others: at its own pace',
    '`maxReadBytes`',
  ),
  'lib/brokers/redis/connection/channel-subscriptions.ts#BATCH': count(
    'channels of one command of pub/sub',
    'the node',
    'the others follow: Redis must not stand still',
    'none: only names',
  ),
  'lib/client/channel/subscribe-window.ts#MAX_UNANSWERED': count(
    'subscribes that were sent and not answered',
    'the client',
    'the other channels wait in the client, and go as answers come',
    '`limits.maxFrameBytes`',
  ),
  'lib/client/channel/channels.ts#MAX_UNUSED': count(
    'channels that are kept although nobody uses them',
    'the client',
    'the next one is forgotten when it is no longer used; its handles still act as one',
    'none: only what an empty channel takes, about 1 KiB',
  ),
  'lib/client/channel/listeners.ts#MAX_WARNINGS': count(
    'warnings of what nobody listens to',
    'the channel',
    'it warns no more',
    'none: one line each, with a name of at most 128 characters',
  ),
  'lib/client/channel/presence-sync.ts#MAX_WAITING': count(
    'changes of members that wait while pages are read',
    'the channel',
    'reads the list again: the same result',
    '`limits.maxPresenceBytes` of the server for each member that changed, in the memory of the client alone',
  ),
  'lib/client/connection/connector.ts#CLOSE_WAIT_MS': time(
    'the peer’s close frame',
    'the connection',
    'counts as closed: nothing depends on it',
  ),
  'lib/client/connection/heartbeat-watch.ts#DOUBT_MS': time(
    'a sign of life after the network or the page changed, also of an attempt',
    'the connection',
    'ends, and the next attempt comes at once (P9a)',
  ),
  'lib/client/token.ts#UNUSED_MS': time(
    'a token that no server has taken yet, and that is used for further attempts',
    'the client',
    'asks the option `token` for another one',
  ),
  'lib/client/clock.ts#MAX_TIMER_MS': time(
    'one timer of the platform',
    'the client',
    'waits no longer than that: browsers fire longer ones at once',
  ),
  'lib/client/transport/probe.ts#MAX_RETRY_AFTER_MS': time(
    'a `Retry-After` that counts',
    'the client',
    'tries earlier: a wrong header must not switch a client off',
  ),
  'lib/client/publish-queue.ts#MAX_MARGIN_MS': time(
    'the last part of the dedupe window, in which nothing is sent again',
    'the publish',
    '`outcome_unknown`: the retry must arrive inside the window',
  ),
  'lib/client/token-refresher.ts#MAX_LEAD_MS': time(
    'life of a token that is left when a new one is fetched',
    'the client',
    'fetches: for short lives a fifth of them',
  ),
  'lib/core/commands/reauthorization.ts#MAX_ADVICE_MS': time(
    'the pause before an authorization that failed is asked again, where it states a `retryAfterMs`',
    'the subscription',
    'is asked earlier: delivery is withheld until it answers',
  ),
  'lib/health/realtime-health-indicator.ts#DEFAULT_TIMEOUT_MS': time(
    'a health check, where the caller gives no other time',
    'the check',
    'reports down: below the time-outs of orchestrators',
  ),
  'lib/nest/errors/validation-details.ts#MAX_DETAILS': count(
    'findings of a validation that are sent',
    'the command',
    'the others are left out: a hostile payload breaks a rule thousands of times',
    '`limits.maxMessageBytes`',
  ),
  'lib/nest/errors/validation-details.ts#MAX_DEPTH': count(
    'nesting of findings of a validation',
    'the command',
    'deeper ones are left out: the stack must hold',
    '`limits.maxMessageBytes`',
  ),
  'lib/nest/lifecycle/engine-logger.ts#MOST_CHARACTERS': bytes(
    'a thrown text that is logged, in characters',
    'the line',
    'is cut: clients may have chosen it',
  ),
  'lib/nest/lifecycle/transport-runtime.ts#MOST_CLOSE_MS': time(
    'the answer to a close frame at shutdown',
    'the connection',
    'destroys the socket: `drain.deadline` is over by then',
  ),
  'lib/nest/lifecycle/transport-runtime.ts#DRAIN_SLACK_MS': time(
    'a drain beyond its deadline',
    'the node',
    'shuts down without it: it should have ended itself',
  ),
};

/** Numbers that bound nothing, by what they are. Options first, then constants; `module:` and so on name the subject. */
export const OTHER_NUMBERS = {
  'advice to clients': [
    'module:retry.base',
    'module:retry.max',
    'module:retry.firstSpread',
    'module:retry.stable',
    'module:drain.spread',
    'lib/core/engine/admission.ts#RETRY_AFTER_MS',
    'lib/core/ports/entropy.ts#MIN_SPREAD_MS',
    'lib/nest/errors/error-mapper.ts#TRY_AGAIN_MS',
    'lib/core/hub/hub.ts#RETRY_AFTER_MS',
    'lib/core/access/connect-rate.ts#RETRY_AFTER_MS',
    'lib/brokers/memory/node.ts#FULL_RETRY_MS',
    'lib/brokers/memory/ids.ts#DEFAULT_RETRY_MS',
    'lib/core/log/append-queue.ts#RETRY_AFTER_MS',
    'lib/core/session/answers.ts#NO_ROOM_RETRY_MS',
    'lib/core/session/memory.ts#RETRY_AFTER_MS',
    'lib/core/access/verifications.ts#RETRY_AFTER_MS',
    'lib/core/commands/auth.ts#RETRY_AFTER_MS',
    'lib/nest/auth/jwt-authenticator.ts#NOT_YET_RETRY_MS',
    'lib/core/session/session.ts#RETRY_AFTER_MS',
    'lib/core/session/backlog.ts#RETRY_AFTER_MS',
    'lib/core/async/turns.ts#RETRY_AFTER_MS',
  ],
  'where a fast check leaves a value to the exact one': ['lib/core/log/plain-value.ts#MAX_DEPTH'],
  'shares and sizes of formats': [
    'lib/core/access/subject-buckets.ts#KEPT',
    'lib/transports/websocket/inbound-meter.ts#WHOLE_CHUNK_BYTES',
    'lib/transports/websocket/inbound-meter.ts#MASK_BYTES',
  ],
  'places and levels': ['redis:db', 'redis:partitions', 'module:compression.level'],
  'a quantity that is demanded, not bounded': ['redis:durability.replicas'],
  'the size below which a frame is not compressed': ['module:compression.threshold'],
  'as the module has them': [
    'websocket:compression.threshold',
    'websocket:compression.level',
    'websocket:compression.concurrency',
  ],
  'the pace of regular work': [
    'memory:sweepMs',
    'redis:sweepMs',
    'redis:heartbeatMs',
    'lib/core/engine/drain.ts#STEP_MS',
    'lib/brokers/redis/tip-check.ts#SETTLE_MS',
    'lib/brokers/redis/tip-check.ts#PACE_MS',
    'lib/brokers/redis/connection/channel-subscriptions.ts#RETRY_MS',
    'lib/brokers/redis/control/control-log.ts#RETRY_MS',
    'lib/brokers/redis/connection/liveness.ts#READ_MS',
    'lib/brokers/redis/connection/shards.ts#COMPARE_MS',
    'lib/core/outbox/flush-pace.ts#SHORT_MS',
    'lib/core/outbox/flush-pace.ts#MAX_PATIENCE',
    'lib/client/token-refresher.ts#MIN_RETRY_MS',
    'lib/transports/sse/channel-asker.ts#RATE_HOLD_MS',
    'lib/transports/sse/feed.ts#TOKEN_RETRY_MS',
    'lib/transports/sse/feed.ts#LEAST_PART',
  ],
  'lower ends': [
    'lib/protocol/envelope.ts#MIN_ENVELOPES_PER_FRAME',
    'lib/nest/lifecycle/boot-report.ts#LEAST_SECRET_BYTES',
    'lib/nest/lifecycle/realtime-runtime.ts#LEAST_STOP_MS',
    'lib/nest/lifecycle/transport-runtime.ts#LEAST_CLOSE_MS',
    'lib/brokers/memory/control.ts#MIN_TRIM',
    'lib/brokers/memory/options.ts#MIN_BYTES',
    'lib/brokers/redis/server-check.ts#OLDEST_MAJOR',
  ],
  'what a client asks for, where it says nothing': ['lib/core/commands/history.ts#DEFAULT_LIMIT'],
  'what things of the memory broker weigh, as `maxBytes` counts them': [
    'lib/core/log/recent-publishes.ts#ENTRY_BYTES',
    'lib/core/log/recent-publishes.ts#PRODUCER_BYTES',
    'lib/brokers/memory/weight.ts#CHANNEL_BYTES',
    'lib/brokers/memory/weight.ts#EVENT_BYTES',
    'lib/brokers/memory/weight.ts#ID_BYTES',
    'lib/brokers/memory/weight.ts#ID_LANE_BYTES',
    'lib/brokers/memory/weight.ts#PRODUCER_BYTES',
    'lib/brokers/memory/weight.ts#ROOM_BYTES',
    'lib/brokers/memory/weight.ts#MEMBER_BYTES',
    'lib/brokers/memory/weight.ts#DEVICE_BYTES',
    'lib/core/session/unparsed-frames.ts#FRAME_BYTES',
    'lib/core/session/command-flow.ts#RUNNING_BYTES',
    'lib/core/ports/value-weight.ts#LIST_BYTES',
    'lib/core/ports/value-weight.ts#OBJECT_BYTES',
    'lib/core/ports/value-weight.ts#VIEW_BYTES',
    'lib/core/ports/value-weight.ts#ELEMENT_BYTES',
    'lib/core/ports/value-weight.ts#PROPERTY_BYTES',
    'lib/core/ports/value-weight.ts#TEXT_BYTES',
    'lib/core/ports/value-weight.ts#MOST_PER_BYTE',
  ],
  'sizes of a format, and units': [
    'lib/brokers/memory/options.ts#DAY_MS',
    'lib/brokers/memory/options.ts#DEFAULT_BYTES',
    'lib/brokers/redis/settings.ts#DAY_MS',
    'lib/brokers/redis/control/control.ts#DAY_MS',
    'lib/brokers/redis/settings.ts#MAX_PARTITIONS',
    'lib/core/access/rate-limit.ts#ROUNDING_MS',
    'lib/core/outbox/entry.ts#GAP_BYTES',
    'lib/core/commands/subscribe.ts#SUBSCRIPTION_BYTES',
    'lib/core/hub/member-pages.ts#MEMBER_BYTES',
    'lib/core/ports/channel-event.ts#EVENT_BYTES',
    'lib/core/ports/value-size.ts#MAX_DEPTH',
    'lib/core/ports/entropy.ts#ID_BYTES',
    'lib/core/ports/entropy.ts#TOKEN_BYTES',
    'lib/core/ports/entropy.ts#POOL_BYTES',
    'lib/client/publish-entry.ts#AFTER_BYTES',
    'lib/transports/websocket/compression.ts#TRAILER_BYTES',
    'lib/transports/websocket/frame.ts#MAX_SHORT',
    'lib/transports/websocket/frame.ts#MAX_MEDIUM',
  ],
  'what tells a held-back timer or a stale value': [
    'lib/client/clock.ts#SLEEP_MS',
    'lib/client/connection/heartbeat-watch.ts#LATE_MS',
    'lib/client/connection/heartbeat-watch.ts#TICK_MS',
    'lib/client/token.ts#STALE_MS',
  ],
};

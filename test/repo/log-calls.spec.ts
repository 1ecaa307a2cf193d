import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const root = join(import.meta.dirname, '../..');
const LEVELS = new Set(['debug', 'log', 'warn', 'error', 'onWarning']);
/** What the receiver of a call is named where it is a log. */
const LOG = /(^|\.|\b)(logger|journal|notices)$/;

/**
 * What lines above `debug` say, by file: the expressions inside of their texts, and why no client chooses them. What is not here fails the
 * test: find out who chooses it, then add it, or log it at `debug`.
 */
const REVIEWED: readonly (readonly [file: string, why: string, ...said: string[]])[] = [
  ['admin/dashboard/nodes-feed.ts', 'an error of a broker', 'String(error)'],
  ['consumers/consumer.ts', 'a name of the options, a number', 'this.settings.name', 'Math.round(ms)'],
  [
    'consumers/consumer.ts',
    'a name of the options, the words of a source: its first line, shortened',
    'messageOf(error)',
  ],
  [
    'consumers/lane-worker.ts',
    'names of the options, a code',
    'name',
    'lane.name',
    'what',
    'code',
    'site.dedupeMs',
  ],
  [
    'consumers/lane-worker.ts',
    'names of the options, the place of a record, a code',
    'settings.name',
    'this.lane.name',
    'of.place',
  ],
  [
    'brokers/kafka/consume/partition-lane.ts',
    'names of the options, numbers, the words of the client of Kafka about its connection',
    'consumer',
    'this.name',
    'first',
    'end',
    'position',
    'this.position',
    'why',
    'this.trouble',
  ],
  [
    'brokers/nats/consume/from-jetstream.ts',
    'names of the options, numbers, the words of the server',
    'settings.name',
    'this.settings.name',
    'this.wanted.stream',
    'first',
    'next',
    'message',
  ],
  [
    'brokers/redis/consume/stream-lane.ts',
    'names of the options, a number',
    'consumer',
    'count',
    'this.name',
  ],
  ['audit/log-sink.ts', 'an entry of the audit, which the application asked for', 'line'],
  ['brokers/memory/store.ts', 'a broker', 'message'],
  [
    'brokers/kafka/topics.ts',
    'a topic of the options and numbers',
    'name',
    'partitions.length',
    'wanted.partitions',
  ],
  ['brokers/nats/link.ts', 'the words of the server', 'messageOf(status.error)'],
  [
    'brokers/nats/reading.ts',
    'a stream of the options, the words of the server',
    'this.stream',
    'messageOf(error)',
  ],
  ['brokers/replicated/broker.ts', 'a driver of a log', 'message'],
  ['brokers/replicated/node.ts', 'a name of a kind of log', 'storage.name', 'message'],
  ['brokers/redis/damaged-keys.ts', 'the words of the server', 'message', 'this.fails', 'this.keys'],
  [
    'brokers/redis/application-check.ts',
    'names of applications and a prefix, from options of nodes, and a number',
    'nameless(before, settings)',
    'keyPrefix',
    'application',
    'running',
    'OWN_PREFIX',
    'GIVE_NAME',
  ],
  ['brokers/redis/broker.ts', 'the number of a database', 'sharedTopics(commands.db)'],
  ['brokers/redis/broker.ts', 'the address of Redis', 'this.target.where'],
  ['brokers/redis/server-check.ts', 'settings of the server', 'problem', 'remedy'],
  ['brokers/redis/connection/target.ts', 'a function, the address of Redis', 'caller', 'this.where'],
  [
    'brokers/redis/control/control.ts',
    'the kind of an act, an error of Redis',
    'record.kind',
    'String(error)',
  ],
  ['brokers/redis/messages/node-messages.ts', 'a number of bytes', 'problem'],
  ['brokers/redis/messages/node-messages.ts', 'a broker', 'message'],
  ['brokers/redis/node-heartbeat.ts', 'versions and options of nodes', 'mismatch.text'],
  ['brokers/redis/transitions.ts', 'numbers', 'dropped', 'MAX_RECORDS'],
  ['core/access/circuits.ts', 'a handler and its state', 'name', 'state'],
  [
    'core/access/verifications.ts',
    'limits',
    'maxVerificationsPerAddress',
    'maxVerifications',
    'admissionWaitMs',
  ],
  ['core/access/verifications.ts', 'limits', 'authFailures', 'authFailureWindowMs', 'hold.waitMs'],
  ['core/access/verifications.ts', 'the address that limits count', 'network'],
  ['core/access/verifier.ts', 'what the authenticator returned: quoted, cut, throttled', 'shown'],
  ['core/access/verifier.ts', 'its length, and the rule', 'Buffer.byteLength(text)', 'USER_ID_RULE'],
  ['core/async/throttled-log.ts', 'its callers are looked at', 'message()', 'left'],
  ['core/commands/application-calls.ts', 'a handler', 'name', 'settings.handlerTimeoutMs', 'code'],
  ['core/commands/hello.ts', 'the verified id', 'quoted(String(session.userId))', 'maxConnectionsPerUser'],
  ['core/commands/hello.ts', 'the verified id or address, the words of an operator', 'whom', 'reason'],
  ['core/commands/lifecycle.ts', 'an id of this server', 'connection.id'],
  ['core/commands/reauthorization.ts', 'a constant', 'AT_ONCE'],
  [
    'core/commands/reauthorization.ts',
    'ours; an error of the application',
    'pattern',
    'session.id',
    'textOf(error)',
  ],
  ['core/commands/reset.ts', 'an id of this server', 'about.connection'],
  [
    'core/commands/snapshot.ts',
    'what a snapshot handler returned',
    'source',
    'position.epoch',
    'position.seq',
  ],
  ['core/commands/snapshot.ts', 'the log', 'read.tip.epoch', 'read.tip.seq', 'read.oldest'],
  [
    'core/commands/spam-guard.ts',
    'steps',
    'step.step',
    'match.definition.pattern',
    'strikes',
    'policy.onFailure',
  ],
  ['core/engine/abuse-bans.ts', 'an error of the broker', 'String(error)'],
  [
    'core/engine/admission.ts',
    'a refusal of this server',
    'status',
    'hint',
    'ip',
    'answer',
    'message',
    'more',
  ],
  ['core/engine/audit/audit.ts', 'a sink', 'queue.name', 'left'],
  ['core/engine/audit/sink-queue.ts', 'a sink', 'name', 'this.waiting.length', 'maxEntries', 'maxBytes'],
  ['core/engine/cluster/node-questions.ts', 'another node', 'kind', 'JSON.stringify(node)', 'what'],
  ['core/engine/cluster/user-connections.ts', 'names of nodes', 'why'],
  ['core/engine/composition.ts', 'numbers, an id of this server', 'count', 'about.connection'],
  ['core/engine/unfinished.ts', 'an address and a limit', 'network', 'maxUnfinishedBytes'],
  ['core/engine/drain.ts', 'numbers', 'sessions.size', 'total', 'Math.round(passedMs)', 'deadlineMs'],
  ['core/engine/observers.ts', 'a method', 'name'],
  [
    'core/engine/overload/overload-watch.ts',
    'steps and what was measured',
    'step',
    'isMore',
    'reason',
    'WORDS[step]',
  ],
  ['core/engine/broker-condition.ts', 'the words of the broker', "reason ?? 'it gives no reason'", 'reason'],
  [
    'core/engine/realtime-engine.ts',
    'an act of the application, quoted',
    'message.kind',
    'whom',
    'by',
    'why',
  ],
  ['core/engine/realtime-engine.ts', 'one of two names of acts', "as === undefined ? '' : `${as}: `", 'as'],
  ['core/engine/realtime-engine.ts', 'the words of the broker', 'message'],
  ['core/engine/realtime-engine.ts', 'a number', 'Math.round(ms)'],
  ['core/engine/spam-steps.ts', 'an error of the broker', 'String(error)'],
  ['core/engine/unwritable-log.ts', 'a place in a log', 'seq', 'type', 'place', 'codec'],
  ['core/engine/unwritable-log.ts', 'a pattern', 'channel && patternOf(channel)'],
  ['core/hub/hold-keeper.ts', 'an error of the broker', 'String(error)'],
  ['core/hub/renewals.ts', 'numbers and a constant', 'all.size', 'what', 'leaseMs'],
  ['core/log/erasures.ts', 'constants', 'this.maxEvents', 'this.maxBytes', 'KEEP_MS / 60_000'],
  ['core/outbox/outbox-budget.ts', 'limits', 'total', 'limits.maxBytesPerNode'],
  [
    'core/session/answers.ts',
    'a handler that was found, and so its event',
    'handler',
    'bytes',
    'maxAnswerBytes',
  ],
  ['core/session/client-errors.ts', 'ids of this server', 'id', 'about.connection'],
  ['core/session/connection-listeners.ts', 'a method', 'name'],
  [
    'core/session/frame-reader.ts',
    'the verified id or address',
    'session.client',
    'settings.handlerTimeoutMs',
  ],
  ['core/session/inbound-limiter.ts', 'the verified id or address', 'whom', 'banMs'],
  ['core/session/relayed-answers.ts', 'the address that limits count', 'network', 'most'],
  ['hooks/hook-consumer.ts', 'an error of the broker', 'String(error)'],
  [
    'hooks/offline-notices.ts',
    'numbers, names of nodes',
    'lost',
    'why',
    'this.count',
    'maxNotices',
    'maxBytes',
  ],
  [
    'hooks/target-queue.ts',
    'a target of the application, an id of the event for it',
    'this.name',
    'type',
    'id',
    'why',
  ],
  ['hooks/target-queue.ts', 'what a target answered', 'textOf(error)'],
  ['hooks/target-queue.ts', 'numbers', 'this.deliveries.size', 'maxEvents', 'maxBytes'],
  ['hooks/target-queue.ts', 'numbers', 'count', 'Math.round(waitMs)'],
  ['nest/auth/introspection.ts', 'the address of the service', 'origin', 'message', 'remedy'],
  [
    'nest/auth/remote-keys.ts',
    'the issuer and its keys',
    'this.name',
    "fresh.join(', ')",
    'why',
    'this.settings.keepMs',
  ],
  ['nest/discovery/authorization-builder.ts', 'an authorizer', 'source', 'what'],
  ['nest/discovery/behaviour-builder.ts', 'a hook', 'this.name', 'declared.name', 'code'],
  [
    'nest/enhancers/enhancer-failures.ts',
    'an enhancer, once for each handler',
    'name',
    'source',
    'action',
    'GUIDE',
  ],
  [
    'nest/enhancers/enhancer-failures.ts',
    'an error of the application, once',
    'String((error as Error).message)',
  ],
  ['nest/errors/error-bounds.ts', 'an error of the application', 'reason ?? code', 'source', 'problem'],
  ['nest/errors/error-mapper.ts', 'ids of this server, a handler', 'id', 'where'],
  [
    'nest/lifecycle/boot-report.ts',
    'at boot',
    'pattern',
    'source',
    'where',
    'name',
    'capabilities.durability',
    'dedupe',
  ],
  ['nest/lifecycle/boot-report.ts', 'at boot', 'LEAST_SECRET_BYTES', 'issuers'],
  ['nest/lifecycle/boot-report.ts', 'at boot', 'found'],
  ['nest/lifecycle/boot-report.ts', 'options, at boot', 'path', 'JSON.stringify(text)'],
  ['nest/lifecycle/engine-logger.ts', 'its callers are looked at', 'text'],
  ['nest/lifecycle/keep-alive.ts', 'numbers of the server', 'ms', 'USUAL_REUSE_MS', 'KEEP_ALIVE_REMEDY'],
  ['nest/lifecycle/transport-runtime.ts', 'its callers are looked at', 'message'],
  ['nest/lifecycle/transport-runtime.ts', 'numbers', 'cut', 'Math.round(ms)'],
  ['nest/lifecycle/probe-route.ts', 'at boot', 'path', 'reason'],
  [
    'nest/lifecycle/realtime-runtime.ts',
    'at boot and at the end',
    'Math.round(ms)',
    'nameOf(wrapper)',
    'remedy',
  ],
  [
    'transports/http/handshake-policy.ts',
    'one origin, once for each process',
    "canonicalOrigin(origin) ?? 'an unknown origin'",
  ],
  ['tracing/open-telemetry-tracer.ts', 'an error of the SDK', 'String(error)'],
  ['transports/http/handshake-policy.ts', 'the name of the cookie', 'what()'],
  [
    'transports/http/reception.ts',
    'an address and the name of a header, once',
    'peerAddress(socket)',
    'header',
  ],
];

interface LogCall {
  readonly file: string;
  readonly level: string;
  readonly said: readonly string[];
  readonly text: string;
}

function files(): readonly string[] {
  return readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('client'))
    .map((file) => join(root, 'lib', file));
}

function callsIn(file: string): LogCall[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const calls: LogCall[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const { expression: receiver, name } = node.expression;
      if (LEVELS.has(name.text) && (name.text === 'onWarning' || LOG.test(receiver.getText())))
        calls.push(callOf(node, name.text, source));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return calls;
}

function callOf(call: ts.CallExpression, level: string, source: ts.SourceFile): LogCall {
  const said: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTemplateSpan(node)) said.push(node.expression.getText(source));
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken)
      said.push(...[node.left, node.right].filter(isName).map((operand) => operand.getText(source)));
    ts.forEachChild(node, visit);
  };
  call.arguments.forEach(visit);
  const [first] = call.arguments;
  if (first !== undefined && isName(first)) said.push(first.getText(source));
  const file = relative(join(root, 'lib'), source.fileName);
  return { file, level, said, text: call.getText(source) };
}

/** Whether it stands for a text that was made elsewhere. */
function isName(node: ts.Node): boolean {
  return ts.isIdentifier(node) || ts.isPropertyAccessExpression(node) || ts.isCallExpression(node);
}

const calls = files().flatMap(callsIn);
const shown = calls.filter(({ level }) => level !== 'debug');

describe('log calls of the library', () => {
  it('are found: a test that looks at none proves nothing', () => {
    expect(calls.length).toBeGreaterThan(60);
    expect(new Set(calls.map(({ level }) => level))).toEqual(LEVELS);
  });

  it('say nothing above debug that a client chooses (G23, G25)', () => {
    const said = new Set(shown.flatMap((call) => call.said.map((text) => `${call.file}: ${text}`)));
    const known = REVIEWED.flatMap(([file, , ...texts]) => texts.map((text) => `${file}: ${text}`));
    expect([...said].filter((text) => !known.includes(text))).toEqual([]);
    // A line that is gone must not excuse the next one in its file.
    expect(known.filter((text) => !said.has(text))).toEqual([]);
    expect(new Set(known).size).toBe(known.length);
  });

  it('have the ids of the connection where they are about one', () => {
    const OF_ONE = /session\.|connection\.id|about\.connection|\bview\b|\bwhom\b|connection listener/;
    const ids = calls.filter(({ text }) => OF_ONE.test(text));
    expect(ids.length).toBeGreaterThan(10);
    expect(ids.filter(({ text }) => !/\babout\b/.test(text)).map(({ file }) => file)).toEqual([
      // Of an act, which is about a user.
      'core/engine/realtime-engine.ts',
    ]);
  });
});

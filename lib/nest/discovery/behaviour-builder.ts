import 'reflect-metadata';
import { GUARDS_METADATA } from '@nestjs/common/constants.js';
import type { ChannelPattern } from '../../core/channel/pattern.js';
import type {
  ChannelBehaviour,
  ConnectionRequest,
  HandlerCall,
  RequestHandler,
  SnapshotHandler,
  SnapshotState,
} from '../../core/ports/channel-definition.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { isPromise, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { PositionedSnapshot } from '../decorators/handlers.decorator.js';
import { RealtimeContext, type RealtimeAction } from '../decorators/realtime-context.js';
import { subscribedMessage } from '../decorators/subscribe-message-metadata.js';
import type { CompiledHandler, CompileOptions, HandlerCompiler } from '../enhancers/handler-compiler.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { AuthorizationBuilder } from './authorization-builder.js';
import type { ChannelHost, DeclaredMethod } from './channel-methods.js';
import { checkEvent } from './channel-policy.js';
import { HandlerIndex } from './handler-index.js';

/** Compiles the methods of one channel class into what the engine calls, and reports contradictions. */
export class BehaviourBuilder {
  private readonly name: string;
  private readonly authorization: AuthorizationBuilder;

  constructor(
    private readonly host: ChannelHost,
    private readonly pattern: ChannelPattern,
    private readonly compiler: HandlerCompiler,
    private readonly logger: EngineLogger,
    private readonly problems: BootProblems,
  ) {
    this.name = host.metatype.name;
    this.authorization = new AuthorizationBuilder(host, compiler, logger, problems);
  }

  /** The behaviour of the channel, and the requests that need no channel, by event. */
  async build(signals: ReadonlySet<string>) {
    const index = new HandlerIndex(this.host, this.problems);
    const authorize = await this.authorization.build((action) => {
      const declared = index.authorize.get(action);
      return declared === undefined ? undefined : this.compile(declared);
    });
    index.check(authorize, signals);
    const snapshot = this.snapshot(index.moments.get('snapshot'));
    const onSubscribe = this.moment('subscribed', index.moments.get('subscribed'));
    const onUnsubscribe = this.moment('unsubscribed', index.moments.get('unsubscribed'));
    const behaviour: ChannelBehaviour = {
      authorize,
      publish: this.handlers(index.publish, 'publish'),
      signals,
      requests: this.handlers(index.requests, 'request', { emptyAllowed: true }),
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(onSubscribe === undefined ? {} : { onSubscribe }),
      ...(onUnsubscribe === undefined ? {} : { onUnsubscribe }),
    };
    return { behaviour, connectionRequests: await this.connectionRequests(index.connectionRequests) };
  }

  private handlers(
    declared: ReadonlyMap<string, DeclaredMethod>,
    action: RealtimeAction,
    options?: CompileOptions,
  ): ReadonlyMap<string, RequestHandler> {
    return new Map(
      [...declared].map(([event, method]) => {
        checkEvent(event, `${this.name}.${method.name}`, this.problems);
        return [event, runner(this.compile(method, options), action)];
      }),
    );
  }

  private snapshot(declared: DeclaredMethod | undefined): SnapshotHandler | undefined {
    if (declared === undefined) return undefined;
    const compiled = this.compile(declared);
    const run = runner(compiled, 'snapshot');
    return {
      shareable: !compiled.personal && compiled.params.every(({ ofChannel }) => ofChannel),
      run: (call) => {
        const result = run(call);
        return isPromise(result) ? result.then(toState) : toState(result);
      },
    };
  }

  private moment(
    kind: 'subscribed' | 'unsubscribed',
    declared: DeclaredMethod | undefined,
  ): ((call: HandlerCall) => MaybePromise<void>) | undefined {
    if (declared === undefined) return undefined;
    const isEnd = kind === 'unsubscribed';
    if (isEnd && Reflect.hasMetadata(GUARDS_METADATA, declared.method)) {
      this.problems.add(
        this.name,
        `has @UseGuards on ${declared.name}, which is @OnUnsubscribe().`,
        'An end cannot be refused: remove the guards.',
      );
    }
    const run = runner(this.compile(declared, { guards: !isEnd, emptyAllowed: true }), kind);
    // No client waits for the result. The mapper has logged an `internal` error with its stack; of a refusal the code is
    // enough.
    const report = (error: unknown, { about }: HandlerCall['connection']): void => {
      const code = error instanceof RealtimeError ? error.code : 'internal';
      if (code !== 'internal') this.logger.warn(`${this.name}.${declared.name} ended with ${code}`, about);
    };
    return (call) => {
      const result = run(call);
      return isPromise(result)
        ? result.then(
            () => undefined,
            (error: unknown) => report(error, call.connection),
          )
        : undefined;
    };
  }

  private async connectionRequests(
    declared: ReadonlyMap<string, DeclaredMethod>,
  ): Promise<ReadonlyMap<string, ConnectionRequest>> {
    const requests = new Map<string, ConnectionRequest>();
    for (const [event, method] of declared) {
      const source = `${this.name}.${method.name}`;
      checkEvent(event, source, this.problems);
      const handle = runner(this.compile(method, { emptyAllowed: true }), 'request');
      const given = method.declaration.kind === 'request' ? method.declaration.authorize : undefined;
      const authorize = await this.authorization.ofRequest(given, source);
      if (authorize !== undefined) requests.set(event, { authorize, handle });
    }
    return requests;
  }

  private compile({ name, method, declaration }: DeclaredMethod, options?: CompileOptions): CompiledHandler {
    const source = `${this.name}.${name}`;
    const hasChannel = declaration.kind !== 'request' || declaration.scope === 'channel';
    if (declaration.kind === 'request' && hasChannel && declaration.authorize !== undefined) {
      this.problems.add(
        source,
        'has "authorize", but is a request of the channel.',
        "Use @Authorize('request') for it.",
      );
    }
    // A method that came from a gateway may take (client, payload) by place, as Nest calls it there.
    const decorated = declaration.kind !== 'request' || subscribedMessage(method) === undefined;
    const target = { host: this.host, method, methodName: name };
    const compiled = this.compiler.compile(target, { ...options, decorated });
    for (const { data, ofChannel } of compiled.params) {
      if (ofChannel) this.checkChannelParam(data, source, hasChannel);
    }
    return compiled;
  }

  private checkChannelParam(name: unknown, source: string, hasChannel: boolean): void {
    if (!hasChannel) {
      this.problems.add(
        source,
        'takes a @ChannelParam, but has no channel.',
        'Send it in the payload instead.',
      );
      return;
    }
    const { params, text } = this.pattern;
    if (typeof name !== 'string' || params.includes(name)) return;
    this.problems.add(
      source,
      `takes @ChannelParam('${name}'), which "${text}" does not have.`,
      params.length === 0
        ? `Write it into the pattern as ":${name}", or remove the parameter.`
        : `It has: ${params.join(', ')}.`,
    );
  }
}

function runner(compiled: CompiledHandler, action: RealtimeAction): RequestHandler {
  return (call) => compiled.run(new RealtimeContext(action, call));
}

function toState(result: unknown): SnapshotState {
  return result instanceof PositionedSnapshot
    ? { state: result.state, position: result.position }
    : { state: result };
}

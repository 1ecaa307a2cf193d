import 'reflect-metadata';
import { GUARDS_METADATA } from '@nestjs/common/constants.js';
import type {
  ChannelBehaviour,
  ConnectionRequest,
  HandlerCall,
  RequestHandler,
  SnapshotHandler,
  SnapshotState,
} from '../../core/ports/channel-definition.js';
import type { ChannelPattern } from '../../core/channel/pattern.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { isPromise, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { PositionedSnapshot } from '../decorators/handlers.decorator.js';
import { RealtimeContext, type RealtimeAction } from '../decorators/realtime-context.js';
import type { CompiledHandler, CompileOptions, HandlerCompiler } from '../enhancers/handler-compiler.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { AuthorizationBuilder } from './authorization-builder.js';
import { declaredMethods, type DeclaredMethod } from './channel-methods.js';
import { checkEvent } from './channel-policy.js';
import type { ChannelHost } from './channel-methods.js';
import { checkDeclarations } from './declaration-check.js';
import { HandlerIndex } from './handler-index.js';

/** What one channel class comes to. */
export interface BuiltBehaviour {
  readonly behaviour: ChannelBehaviour;
  /** Requests that need no channel, by event. */
  readonly connectionRequests: ReadonlyMap<string, ConnectionRequest>;
}

/** Compiles the methods of one channel class into what the engine calls, and reports what contradicts itself. */
export class BehaviourBuilder {
  private readonly name: string;
  private readonly authorization: AuthorizationBuilder;

  constructor(
    private readonly host: ChannelHost,
    private readonly pattern: ChannelPattern,
    private readonly signals: ReadonlySet<string>,
    private readonly compiler: HandlerCompiler,
    private readonly logger: EngineLogger,
    private readonly problems: BootProblems,
  ) {
    this.name = host.metatype.name;
    this.authorization = new AuthorizationBuilder(host, compiler, logger, problems);
  }

  async build(): Promise<BuiltBehaviour> {
    const { host, problems, signals } = this;
    const index = new HandlerIndex(this.name, declaredMethods(host, problems), problems);
    const authorize = await this.authorization.build((action) => {
      const declared = index.authorize.get(action);
      return declared === undefined ? undefined : this.compile(declared, {});
    });
    checkDeclarations(host, index, authorize, signals, problems);
    const snapshot = this.snapshot(index.moments.get('snapshot'));
    const onSubscribe = this.moment('subscribed', index.moments.get('subscribed'));
    const onUnsubscribe = this.moment('unsubscribed', index.moments.get('unsubscribed'));
    const behaviour: ChannelBehaviour = {
      authorize,
      publish: this.handlers(index.publish, 'publish', {}),
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
    options: CompileOptions,
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
    const compiled = this.compile(declared, {});
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
    const ends = kind === 'unsubscribed';
    if (ends && Reflect.hasMetadata(GUARDS_METADATA, declared.method)) {
      this.problems.add(
        this.name,
        `has @UseGuards on ${declared.name}, which is @OnUnsubscribe().`,
        'An end cannot be refused: remove the guards.',
      );
    }
    const run = runner(this.compile(declared, { guards: !ends, emptyAllowed: true }), kind);
    // Nobody waits for it. What is `internal` was logged with its stack already; of a refusal the code is enough.
    const report = (error: unknown): void => {
      const code = error instanceof RealtimeError ? error.code : 'internal';
      if (code !== 'internal') this.logger.warn(`${this.name}.${declared.name} ended with ${code}`);
    };
    return (call) => {
      const result = run(call);
      return isPromise(result) ? result.then(() => undefined, report) : undefined;
    };
  }

  private async connectionRequests(
    declared: ReadonlyMap<string, DeclaredMethod>,
  ): Promise<ReadonlyMap<string, ConnectionRequest>> {
    const requests = new Map<string, ConnectionRequest>();
    for (const [event, method] of declared) {
      const source = `${this.name}.${method.name}`;
      checkEvent(event, source, this.problems);
      const compiled = this.compile(method, { emptyAllowed: true }, 'connection');
      const given = method.declaration.kind === 'request' ? method.declaration.authorize : undefined;
      const authorize = await this.authorization.ofRequest(given, source);
      if (authorize !== undefined) requests.set(event, { authorize, handle: runner(compiled, 'request') });
    }
    return requests;
  }

  private compile(
    { name, method, declaration }: DeclaredMethod,
    options: CompileOptions,
    scope: 'channel' | 'connection' = 'channel',
  ): CompiledHandler {
    const source = `${this.name}.${name}`;
    if (declaration.kind === 'request' && scope === 'channel' && declaration.authorize !== undefined) {
      this.problems.add(
        source,
        'has "authorize", but is a request of the channel.',
        "Use @Authorize('request') for it.",
      );
    }
    const target = { host: this.host, method, methodName: name };
    const compiled = this.compiler.compile(target, this.problems, options);
    for (const { channelParam, ofChannel } of compiled.params) {
      if (ofChannel) this.checkChannelParam(channelParam, source, scope);
    }
    return compiled;
  }

  private checkChannelParam(name: string | undefined, source: string, scope: 'channel' | 'connection'): void {
    if (scope === 'connection') {
      this.problems.add(
        source,
        'takes a @ChannelParam, but has no channel.',
        'Send it in the payload instead.',
      );
      return;
    }
    const { params, text } = this.pattern;
    if (name === undefined || params.includes(name)) return;
    this.problems.add(
      source,
      `takes @ChannelParam('${name}'), which "${text}" does not have.`,
      params.length === 0
        ? `Write it into the pattern as ":${name}", or take the parameter out.`
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

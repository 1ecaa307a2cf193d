import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import type {
  AuthorizeHandler,
  ChannelAction,
  ChannelBehaviour,
} from '../../core/ports/channel-definition.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { POLICY_METADATA, PUBLIC_CHANNEL_METADATA } from '../constants.js';
import { CHANNEL_ACTIONS } from '../decorators/authorize.decorator.js';
import type { ChannelPolicyGuard } from '../decorators/channel-policy.guard.js';
import type { RequestAuthorization } from '../decorators/handler-metadata.js';
import { RealtimeContext } from '../decorators/realtime-context.js';
import type { CompiledHandler, HandlerCompiler } from '../enhancers/handler-compiler.js';
import type { Method } from '../enhancers/handler-target.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { VerdictReader } from './authorization.js';
import type { ChannelHost } from './channel-methods.js';
import { resolveInjectable } from './injectable-resolver.js';

/** Who may do what, as far as a channel class says it. */
export type Authorizations = ChannelBehaviour['authorize'];

/** Compiles the authorizations of one channel class: its own methods, its policy, or that it is public. */
export class AuthorizationBuilder {
  private readonly name: string;

  constructor(
    private readonly host: ChannelHost,
    private readonly compiler: HandlerCompiler,
    private readonly logger: EngineLogger,
    private readonly problems: BootProblems,
  ) {
    this.name = host.metatype.name;
  }

  /** @param compileOwn compiles the method of the class that decides an action; `undefined` where it has none. */
  async build(compileOwn: (action: ChannelAction) => CompiledHandler | undefined): Promise<Authorizations> {
    const authorize: Partial<Record<ChannelAction, AuthorizeHandler | 'public'>> = {};
    const type = Reflect.getMetadata(POLICY_METADATA, this.host.metatype) as
      Type<ChannelPolicyGuard> | undefined;
    const policy = type === undefined ? undefined : await this.resolve(type, this.name);
    for (const action of CHANNEL_ACTIONS) {
      const own = compileOwn(action);
      const decide = policy?.[action]?.bind(policy);
      if (own !== undefined) authorize[action] = this.verdicts(own, action, own.source);
      else if (decide !== undefined) {
        authorize[action] = this.byPolicy(decide, action, `${type?.name}.${action}`);
      }
    }
    const isPublic = Reflect.hasMetadata(PUBLIC_CHANNEL_METADATA, this.host.metatype);
    if (isPublic && authorize.subscribe !== undefined) {
      const problem = 'is a @PublicChannel(), and subscribe is authorized as well.';
      this.problems.add(this.name, problem, 'Keep one of the two.');
    }
    if (isPublic) authorize.subscribe ??= this.open();
    return authorize;
  }

  /** Who may call a request that needs no channel; `undefined`, and reported, where nothing says it (G10). */
  async ofRequest(
    given: RequestAuthorization | undefined,
    source: string,
  ): Promise<AuthorizeHandler | 'public' | undefined> {
    if (given === 'public') return given;
    if (given === 'authenticated') return ({ user }) => user !== undefined;
    const policy = typeof given === 'function' ? await this.resolve(given, source) : undefined;
    if (policy?.request !== undefined) {
      return this.byPolicy(policy.request.bind(policy), 'request', `${(given as Type).name}.request`);
    }
    this.problems.add(
      source,
      'is a request without a channel and has no authorization of its own.',
      'Add { authorize: "authenticated" }, "public", or a policy class with a request() method.',
    );
    return undefined;
  }

  /** Everybody, unless guards of the class or global ones stand before it. */
  private open(): AuthorizeHandler | 'public' {
    const compiled = this.compileLibrary('subscribe', () => true);
    return compiled.direct ? 'public' : this.verdicts(compiled, 'subscribe', `${this.name} (public)`);
  }

  private byPolicy(
    decide: (context: RealtimeContext) => unknown,
    action: ChannelAction,
    source: string,
  ): AuthorizeHandler {
    const compiled = this.compileLibrary(action, (_connection, _payload, context) =>
      decide(context as RealtimeContext),
    );
    return this.verdicts(compiled, action, source);
  }

  private verdicts(compiled: CompiledHandler, action: ChannelAction, source: string): AuthorizeHandler {
    const reader = new VerdictReader(source, this.logger);
    return (call) => reader.read(compiled.run(new RealtimeContext(action, call)));
  }

  /** A function of the library behind the enhancers of the class. */
  private compileLibrary(action: ChannelAction, method: Method): CompiledHandler {
    const target = { host: this.host, method, methodName: `authorize:${action}`, own: true };
    return this.compiler.compile(target, this.problems);
  }

  private resolve(type: Type<ChannelPolicyGuard>, path: string): Promise<ChannelPolicyGuard | undefined> {
    return resolveInjectable(type, this.host.module, path, this.problems);
  }
}

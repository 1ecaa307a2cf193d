import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import type {
  AuthorizationResult,
  AuthorizeHandler,
  ChannelAction,
  ChannelBehaviour,
} from '../../core/ports/channel-definition.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { isPromise } from '../../core/ports/maybe-promise.js';
import { isRecord } from '../../protocol/validation/checks.js';
import {
  CHANNEL_ACTIONS,
  POLICY_METADATA,
  PUBLIC_CHANNEL_METADATA,
} from '../decorators/authorize.decorator.js';
import type { ChannelPolicyGuard } from '../decorators/channel-policy.guard.js';
import type { RequestAuthorization } from '../decorators/handlers.decorator.js';
import { RealtimeContext } from '../decorators/realtime-context.js';
import type { CompiledHandler, HandlerCompiler } from '../enhancers/handler-compiler.js';
import type { HandlerHost, Method } from '../enhancers/handler-target.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { toMilliseconds } from '../options/duration.js';
import { resolveInjectable } from './injectable-resolver.js';

type Authorizations = ChannelBehaviour['authorize'];

/** Compiles the authorizations of one channel class: from its own methods, its policy, or because it is public. */
export class AuthorizationBuilder {
  constructor(
    private readonly host: HandlerHost,
    private readonly compiler: HandlerCompiler,
    private readonly logger: EngineLogger,
    private readonly problems: BootProblems,
  ) {}

  /** @param compileOwn Compiles the method of the class that decides an action; `undefined` where it has none. */
  async build(compileOwn: (action: ChannelAction) => CompiledHandler | undefined): Promise<Authorizations> {
    const { metatype } = this.host;
    const authorize: Partial<Record<ChannelAction, AuthorizeHandler | 'public'>> = {};
    const type = Reflect.getMetadata(POLICY_METADATA, metatype) as Type<ChannelPolicyGuard> | undefined;
    const policy = type === undefined ? undefined : await this.resolve(type, metatype.name);
    for (const action of CHANNEL_ACTIONS) {
      const own = compileOwn(action);
      const decide = policy?.[action]?.bind(policy);
      if (own !== undefined) authorize[action] = this.decide(own, action, own.source);
      else if (decide !== undefined)
        authorize[action] = this.byPolicy(decide, action, `${type?.name}.${action}`);
    }
    if (Reflect.hasMetadata(PUBLIC_CHANNEL_METADATA, metatype)) {
      if (authorize.subscribe !== undefined) {
        const problem = 'is a @PublicChannel(), and subscribe is authorized as well.';
        this.problems.add(metatype.name, problem, 'Keep one of the two.');
      }
      authorize.subscribe ??= this.open();
    }
    return authorize;
  }

  /** Who may call a request that needs no channel; `undefined`, and reported, where nothing declares it (G10). */
  async ofRequest(
    given: RequestAuthorization | undefined,
    source: string,
  ): Promise<AuthorizeHandler | 'public' | undefined> {
    if (given === 'public') return given;
    if (given === 'authenticated') return ({ user }) => user !== undefined;
    const policy = typeof given === 'function' ? await this.resolve(given, source) : undefined;
    if (policy?.request !== undefined)
      return this.byPolicy(policy.request.bind(policy), 'request', `${(given as Type).name}.request`);
    this.problems.add(
      source,
      'is a request without a channel and has no authorization of its own.',
      'Add { authorize: "authenticated" }, "public", or a policy class with a request() method.',
    );
    return undefined;
  }

  /** Admits everybody, unless guards of the class or global ones are bound. */
  private open(): AuthorizeHandler | 'public' {
    const compiled = this.compileLibrary('subscribe', () => true);
    return compiled.direct
      ? 'public'
      : this.decide(compiled, 'subscribe', `${this.host.metatype.name} (public)`);
  }

  private byPolicy(
    ask: (context: RealtimeContext) => unknown,
    action: ChannelAction,
    source: string,
  ): AuthorizeHandler {
    const compiled = this.compileLibrary(action, (_connection, _payload, context) =>
      ask(context as RealtimeContext),
    );
    return this.decide(compiled, action, source);
  }

  private decide(compiled: CompiledHandler, action: ChannelAction, source: string): AuthorizeHandler {
    let warned = false;
    const read = (verdict: unknown): AuthorizationResult => {
      const result = resultOf(verdict);
      if (result === undefined && !warned) {
        warned = true;
        const what = verdict == null ? String(verdict) : 'neither true, false nor { for: duration }';
        this.logger.warn(
          `${source} returned ${what}, which refuses. Return true or false; an interceptor that wraps results must leave ` +
            'authorizations alone (RealtimeContext.from(context)?.action).',
        );
      }
      return result ?? false;
    };
    return (call) => {
      const verdict = compiled.run(new RealtimeContext(action, call));
      return isPromise(verdict) ? verdict.then(read) : read(verdict);
    };
  }

  /** Compiles a function of the library behind the enhancers of the class. */
  private compileLibrary(action: ChannelAction, method: Method): CompiledHandler {
    return this.compiler.compile({ host: this.host, method, methodName: `authorize:${action}`, own: true });
  }

  private resolve(type: Type<ChannelPolicyGuard>, path: string): Promise<ChannelPolicyGuard | undefined> {
    return resolveInjectable(type, this.host.module, path, this.problems);
  }
}

/**
 * Only `true` and a lease admit. Another truthy value, such as a document that was found, is more often an oversight
 * than a decision: `undefined`, which refuses.
 */
function resultOf(verdict: unknown): AuthorizationResult | undefined {
  if (typeof verdict === 'boolean') return verdict;
  const forMs = isRecord(verdict) && verdict.for !== undefined ? toMilliseconds(verdict.for) : undefined;
  return forMs === undefined || forMs === 0 ? undefined : { forMs };
}

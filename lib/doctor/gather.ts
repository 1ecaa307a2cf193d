import 'reflect-metadata';
import type { Server } from 'node:http';
import { totalmem } from 'node:os';
import type { CanActivate, INestApplicationContext, Type } from '@nestjs/common';
import { GUARDS_METADATA } from '@nestjs/common/constants.js';
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { AdminConfig } from '../admin/options.js';
import { ADMIN_CONFIG } from '../admin/tokens.js';
import type { Broker } from '../core/ports/broker.js';
import type { ChannelAction } from '../core/ports/channel-definition.js';
import {
  CHANNEL_ACTIONS,
  POLICY_METADATA,
  PUBLIC_CHANNEL_METADATA,
} from '../nest/decorators/authorize.decorator.js';
import { handlersOf } from '../nest/decorators/handlers.decorator.js';
import { methodsOf, type ChannelHost } from '../nest/discovery/channel-methods.js';
import { httpServerOf, RealtimeRuntime } from '../nest/lifecycle/realtime-runtime.js';
import { ModuleAbsent } from './checks/start.js';
import type { AdminFacts, ChannelFacts, Facts } from './facts.js';
import { UnlistenedAdapter } from './unlistened-adapter.js';

/** The class of `nestjs-realtime/health`, which may not be loaded here: it needs Terminus. */
const HEALTH_INDICATOR = 'RealtimeHealthIndicator';
/** What measures in the module of `nestjs-realtime/metrics`, which needs a package of its own too. */
const METRICS = { module: 'RealtimeMetricsModule', provider: 'MetricsRuntime', config: 'METRICS_CONFIG' };
/** What Nest and TypeScript write about what a class injects. */
const TYPES_METADATA = 'design:paramtypes';
const TOKENS_METADATA = 'self:paramtypes';
const PROPERTIES_METADATA = 'self:properties_metadata';

/** What the module and the classes of the application show, without the storage of the broker. @throws ModuleAbsent, RealtimeBootError */
export async function gather(
  app: INestApplicationContext,
): Promise<Omit<Facts, 'graceMs' | 'storage'> & { readonly broker: Broker }> {
  const wrappers = wrappersOf(app);
  const runtime = instanceOf<RealtimeRuntime>(wrappers, RealtimeRuntime);
  if (runtime === undefined) throw new ModuleAbsent();
  const { broker, channels, hosts, requests } = await runtime.inspect();
  const { config } = runtime;
  // Not those that other modules add: the admin API only counts what it shows.
  const names = config.observers.map((observer) => {
    const { name } = observer.constructor;
    return name === 'Object' ? 'an observer' : name;
  });
  return {
    config,
    attaches: runtime.attaches,
    keepAliveMs: keepAliveOf(app),
    broker,
    channels: channels.map((definition): ChannelFacts => {
      const host = hosts.find(({ channel }) => channel.pattern === definition.pattern);
      const isPublic = host !== undefined && Reflect.hasMetadata(PUBLIC_CHANNEL_METADATA, host.metatype);
      return { definition, isPublic, blind: host === undefined ? [] : blindActions(host) };
    }),
    openRequests: [...requests].filter(([, { authorize }]) => authorize === 'public').map(([event]) => event),
    health: healthOf(wrappers),
    metrics: [...names, ...metricsModuleOf(wrappers)],
    probeEveryMs: probeEveryOf(wrappers),
    admin: adminOf(instanceOf<AdminConfig>(wrappers, ADMIN_CONFIG)),
    tracing: config.tracing?.inspect?.(),
    machineBytes: totalmem(),
  };
}

/** Of an application that was given: of a module, the server here is not the one that it will have. */
function keepAliveOf(app: INestApplicationContext): number | undefined {
  const host = app.get(HttpAdapterHost);
  if ((host.httpAdapter as unknown) instanceof UnlistenedAdapter) return undefined;
  return (httpServerOf(host) as Partial<Server> | undefined)?.keepAliveTimeout;
}

/** Every provider and controller. Of what is not there, `app.get()` would end the process. */
function wrappersOf(app: INestApplicationContext): readonly InstanceWrapper[] {
  return [...app.get(ModulesContainer).values()].flatMap(({ providers, controllers }) => [
    ...providers.values(),
    ...controllers.values(),
  ]);
}

function instanceOf<T>(wrappers: readonly InstanceWrapper[], token: unknown): T | undefined {
  const found = wrappers.find((wrapper) => wrapper.token === token && !wrapper.isAlias);
  return found?.instance as T | undefined;
}

/** Actions whose authorization cannot see who asks. What has guards of its own is not judged. */
function blindActions({ metatype }: ChannelHost): readonly ChannelAction[] {
  if (hasGuards(metatype)) return [];
  const policy = Reflect.getMetadata(POLICY_METADATA, metatype) as Type<object> | undefined;
  const own = methodsOf(metatype).map(([, method]) => method);
  return CHANNEL_ACTIONS.filter((action) => {
    const method = own.find((one) =>
      handlersOf(one).some((handler) => handler.kind === 'authorize' && handler.action === action),
    );
    if (method !== undefined) return isBlind(method) && !hasGuards(method);
    return isBlind((policy?.prototype as Record<string, unknown> | undefined)?.[action]);
  });
}

function hasGuards(target: object): boolean {
  return Reflect.hasMetadata(GUARDS_METADATA, target);
}

/** Whether a function takes no parameter: what it returns does not depend on its call. */
function isBlind(value: unknown): boolean {
  if (typeof value !== 'function') return false;
  const source = Function.prototype.toString.call(value);
  return /^[^(]*\(\s*\)/.test(source) && !/\barguments\b|\[native code\]/.test(source);
}

function metricsModuleOf(wrappers: readonly InstanceWrapper[]): readonly string[] {
  // The module alone measures nothing.
  const isMeasured = wrappers.some(
    ({ name, host }) => name === METRICS.provider && host?.metatype.name === METRICS.module,
  );
  return isMeasured ? [METRICS.module] : [];
}

function probeEveryOf(wrappers: readonly InstanceWrapper[]): number | undefined {
  const found = wrappers.find(
    ({ token, host }) =>
      typeof token === 'symbol' &&
      token.description === METRICS.config &&
      host?.metatype.name === METRICS.module,
  );
  return (found?.instance as { readonly probeEveryMs?: number } | undefined)?.probeEveryMs;
}

/** The classes that inject the indicator; `undefined` where nothing provides it. */
function healthOf(wrappers: readonly InstanceWrapper[]): readonly string[] | undefined {
  if (!wrappers.some(({ token }) => isIndicator(token))) return undefined;
  const users = wrappers.flatMap(({ metatype, inject, name }) => {
    const injected = [...(inject ?? []), ...(typeof metatype === 'function' ? injectedBy(metatype) : [])];
    return injected.some(isIndicator) ? [String(name)] : [];
  });
  return [...new Set(users)];
}

function isIndicator(token: unknown): boolean {
  return typeof token === 'function' && token.name === HEALTH_INDICATOR;
}

function injectedBy(type: object): readonly unknown[] {
  const read = <T>(key: string): readonly T[] => (Reflect.getMetadata(key, type) as T[] | undefined) ?? [];
  return [
    ...read(TYPES_METADATA),
    ...read<{ readonly param: unknown }>(TOKENS_METADATA).map(({ param }) => param),
    ...read<{ readonly type: unknown }>(PROPERTIES_METADATA).map((property) => property.type),
  ];
}

function adminOf(config: AdminConfig | undefined): AdminFacts | undefined {
  if (config === undefined) return undefined;
  const guards = config.guards.map((guard) =>
    typeof guard === 'function' ? (guard.prototype as CanActivate) : guard,
  ) as readonly (object & Record<'canActivate', unknown>)[];
  return {
    guards: guards.map(({ constructor }) => (constructor.name === 'Object' ? 'a guard' : constructor.name)),
    guarded: guards.some((guard) => !isBlind(guard.canActivate)),
    asksAuthority: !isBlind(config.authorityOf),
    namesCaller: !isBlind(config.by),
  };
}

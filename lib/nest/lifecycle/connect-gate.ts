import { Injectable, type Type } from '@nestjs/common';
import type { DiscoveryService, ModuleRef } from '@nestjs/core';
import type { EngineOptions } from '../../core/ports/settings.js';
import { isPromise } from '../../core/ports/maybe-promise.js';
import { RealtimeContext } from '../decorators/realtime-context.js';
import { resolveInjectable } from '../discovery/injectable-resolver.js';
import type { CompiledHandler, HandlerCompiler } from '../enhancers/handler-compiler.js';
import type { HostModule, Method } from '../enhancers/handler-target.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { RealtimeConnectHook } from '../realtime-options.js';

/** The handler at connect that global guards run before, where the application has no hook of its own. */
@Injectable()
export class ConnectGate {
  connect(): boolean {
    return true;
  }
}

/** What the gate is built from. */
export interface ConnectGateParts {
  readonly compiler: HandlerCompiler;
  readonly discovery: DiscoveryService;
  readonly moduleRef: ModuleRef;
  readonly gate: ConnectGate;
}

/** Compiles what runs between authentication and `welcome`: global guards, and the application's hook. */
export async function compileConnect(
  hook: Type<RealtimeConnectHook> | undefined,
  parts: ConnectGateParts,
  problems: BootProblems,
): Promise<EngineOptions['onConnect']> {
  const compiled = hook === undefined ? compileGate(parts) : await compileHook(hook, parts, problems);
  if (compiled === undefined || (hook === undefined && compiled.direct)) return undefined;
  return (connection) => {
    const { user } = connection;
    const call = { connection, user, channel: '', params: {}, id: '', event: '', payload: undefined };
    const result = compiled.run(new RealtimeContext('connect', call));
    return isPromise(result) ? result.then(isAdmitted) : isAdmitted(result);
  };
}

function isAdmitted(result: unknown): boolean {
  return result !== false;
}

function compileGate({ compiler, discovery, gate }: ConnectGateParts): CompiledHandler {
  const host = { instance: gate, metatype: ConnectGate, module: moduleOf(ConnectGate, discovery) };
  return compiler.compile({ host, method: () => true, methodName: 'connect', own: true });
}

async function compileHook(
  hook: Type<RealtimeConnectHook>,
  { compiler, discovery, moduleRef }: ConnectGateParts,
  problems: BootProblems,
): Promise<CompiledHandler | undefined> {
  const instance = await resolveInjectable(hook, moduleRef, 'connect', problems);
  if (instance === undefined) return undefined;
  const module = moduleOf(hook, discovery);
  const method = (hook.prototype as Record<'onConnect', Method>)['onConnect'];
  return compiler.compile({ host: { instance, metatype: hook, module }, method, methodName: 'onConnect' });
}

/** The module that provides a class; the library's own for a class without one. */
function moduleOf(type: Type, discovery: DiscoveryService): HostModule {
  const find = (wanted: Type) =>
    discovery.getProviders().find(({ metatype, isAlias }) => metatype === wanted && !isAlias)?.host;
  const module = find(type) ?? find(ConnectGate);
  if (module === undefined)
    throw new Error('ConnectGate has no module: import RealtimeModule with forRoot() or forRootAsync()');
  return module;
}

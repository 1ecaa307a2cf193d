import type { InjectionToken } from '@nestjs/common';
import type { ModuleRef } from '@nestjs/core';
import type { Broker } from '../../core/ports/broker.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { FoundProvider, HooksRun, HooksSite, RealtimeHooks } from '../hooks.js';

export interface OpenHooksDeps extends Pick<
  HooksSite,
  'online' | 'isErased' | 'clock' | 'entropy' | 'logger'
> {
  readonly broker: Broker;
  readonly moduleRef: ModuleRef;
  readonly problems: BootProblems;
}

/** Finds the providers of the hooks, and opens them. Reports what is missing. */
export function openHooks(hooks: RealtimeHooks, deps: OpenHooksDeps): HooksRun {
  const { broker, moduleRef, problems, ...site } = deps;
  const { transitions } = broker;
  if (hooks.policy.channels.length > 0 && transitions === undefined) {
    problems.add(
      'hooks.channels',
      `asks when channels are occupied, which the broker "${broker.name}" does not record.`,
      'Use redisBroker() or memoryBroker(), or leave channels out.',
    );
  }
  const providers = hooks.providers.map((token, index) =>
    found(token, moduleRef, `hooks.providers[${index}]`, problems),
  );
  return hooks.open({ ...site, providers, transitions }, problems);
}

function found(
  token: InjectionToken,
  moduleRef: ModuleRef,
  path: string,
  problems: BootProblems,
): FoundProvider | undefined {
  const name = nameOf(token);
  const remedy = `Add ${name} to the providers of a module; it has to be a singleton.`;
  try {
    const instance: unknown = moduleRef.get(token, { strict: false });
    if (typeof instance === 'object' && instance !== null) return { name, instance };
    problems.add(path, `is ${name}, whose value is no object.`, remedy);
  } catch (error) {
    const [reason = ''] = String((error as Error).message).split('\n');
    problems.add(path, `is ${name}, which cannot be found: ${reason.trim()}`, remedy);
  }
  return undefined;
}

function nameOf(token: InjectionToken): string {
  return typeof token === 'function' ? token.name : String(token);
}

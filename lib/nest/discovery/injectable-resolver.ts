import { ModuleRef } from '@nestjs/core';
import type { Type } from '@nestjs/common';
import type { HostModule } from '../enhancers/handler-target.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';

/**
 * Returns the instance of an injectable that a decorator or option names: the application's provider where there is one,
 * so that tests can override it; otherwise a new one in the context of the module that names it, as Nest does for
 * guards. Reports a class that Nest cannot make.
 */
export async function resolveInjectable<T>(
  type: Type<T>,
  module: HostModule | ModuleRef,
  path: string,
  problems: BootProblems,
): Promise<T | undefined> {
  const moduleRef =
    module instanceof ModuleRef ? module : (module.providers.get(ModuleRef)?.instance as ModuleRef);
  try {
    return moduleRef.get(type, { strict: false });
  } catch {
    // It is not a provider, or not a singleton: the error of the next attempt says which.
  }
  try {
    return await moduleRef.create(type);
  } catch (error) {
    const [reason = ''] = error instanceof Error ? error.message.split('\n') : ['unknown error'];
    problems.add(
      path,
      `${type.name} cannot be made: ${reason.trim()}`,
      `Add ${type.name} to the providers of a module.`,
    );
    return undefined;
  }
}

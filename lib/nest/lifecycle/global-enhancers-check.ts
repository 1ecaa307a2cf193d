import type { ApplicationConfig } from '@nestjs/core';
import type { EngineLogger } from '../../core/ports/logger.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';

/**
 * Global enhancers of request scope cannot run where there is no request, and Nest leaves them out in silence. For a
 * guard or pipe that would open a hole, so it is an error; an interceptor is announced.
 */
export function checkGlobalEnhancers(
  config: ApplicationConfig,
  logger: EngineLogger,
  problems: BootProblems,
): void {
  const remedy = 'Make it a singleton; what it needs of a request is in the ExecutionContext.';
  for (const wrapper of [...config.getGlobalRequestGuards(), ...config.getGlobalRequestPipes()]) {
    problems.add(
      nameOf(wrapper),
      'is a global guard or pipe of request scope, which Nest would skip here.',
      remedy,
    );
  }
  for (const wrapper of config.getGlobalRequestInterceptors()) {
    logger.warn(
      `The global interceptor ${nameOf(wrapper)} is request-scoped and does not run on channels. ${remedy}`,
    );
  }
}

function nameOf({ metatype, name }: { readonly metatype: unknown; readonly name: unknown }): string {
  // The wrapper itself is named like "APP_GUARD (UUID: …)".
  return typeof metatype === 'function' ? metatype.name : String(name);
}

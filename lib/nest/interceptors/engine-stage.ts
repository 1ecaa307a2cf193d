/**
 * Interceptors whose work the engine does by itself on channels: envelope check, dedupe, order. Only these very
 * classes, not what an application derives from them.
 */
const stages = new Set<unknown>();

/** Marks an interceptor class as one that channels need not run. */
export function EngineStage(): ClassDecorator {
  return (target) => void stages.add(target);
}

/** Whether an interceptor, by class or as an instance, does what the engine does anyway. */
export function isEngineStage(interceptor: unknown): boolean {
  if (typeof interceptor === 'function') return stages.has(interceptor);
  return typeof interceptor === 'object' && interceptor !== null && stages.has(interceptor.constructor);
}

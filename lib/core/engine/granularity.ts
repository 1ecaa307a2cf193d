import type { EngineSettings } from '../ports/settings.js';

/** Fine enough that no timer of a session is late by more than a twentieth of it. */
export function granularityOf({ heartbeat, helloTimeoutMs }: EngineSettings): number {
  const shortest = Math.min(heartbeat.intervalMs, heartbeat.timeoutMs, helloTimeoutMs);
  return Math.min(250, Math.max(5, Math.floor(shortest / 20)));
}

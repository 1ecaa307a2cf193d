import { wireChannel } from '../../../support/wire-channel.js';

export const GRACE_MS = 10_000;

/** What the timers of the server may be late by. */
export const TICK = 500;

/** For clients of a clock that jumps: they would not have answered a ping meanwhile. */
export const QUIET = { heartbeat: { intervalMs: 6_000_000, timeoutMs: 6_000_000 } };

export const CHANNELS = [
  wireChannel('rooms.:room', { publish: ['said'], signals: ['typing'] }),
  wireChannel('halls.:hall', { publish: ['said'], presence: { graceMs: GRACE_MS } }),
  wireChannel('ticks.:name', { publish: ['tick'], log: { retain: false } }),
];

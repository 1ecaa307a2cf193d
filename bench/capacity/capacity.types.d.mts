/** What is asked: see `planOf`. Durations in seconds, sizes in bytes. */
export interface Plan {
  readonly connections: number;
  readonly channels: number;
  readonly rate: number;
  readonly subscribers: number;
  readonly channelsPerConnection: number;
  readonly bytes: number;
  readonly source: string;
  readonly requests: number;
  readonly lifetime: number;
  readonly heartbeat: number;
  readonly flushDelay: number;
  readonly history: number;
  readonly maxConnections: number;
  readonly target: number;
  readonly memory: number;
  readonly bandwidth: number;
  readonly cores: number;
}

/** A table of costs: see `costs.mjs`. */
export interface Costs {
  readonly transport: string;
  readonly micros: Readonly<Record<string, number>>;
  readonly bytes: Readonly<Record<string, number>>;
}

/** What one node does: see `nodeLoad`. */
export interface NodeLoad {
  readonly cpu: number;
  readonly needed: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly memory: number;
  readonly connections: number;
  readonly deliveries: number;
  readonly writes: number;
  readonly bits: number;
  readonly period: number;
}

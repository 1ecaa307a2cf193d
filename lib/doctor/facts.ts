import type { BrokerCapabilities, StorageWeakness } from '../core/ports/broker.js';
import type { ChannelAction, ChannelDefinition } from '../core/ports/channel-definition.js';
import type { TracingFacts } from '../core/ports/tracer.js';
import type { RealtimeConfig } from '../nest/options/resolve-options.js';

/** What the storage of the broker said. */
export type StorageFacts =
  /** It is in this process, or the broker has no way to ask it. */
  | { readonly state: 'inside' | 'silent' }
  /** The caller wished so. */
  | { readonly state: 'unasked' }
  | { readonly state: 'away'; readonly why: string }
  | { readonly state: 'asked'; readonly tookMs: number; readonly weaknesses: readonly StorageWeakness[] };

/** One channel pattern, with what only its class shows. */
export interface ChannelFacts {
  readonly definition: ChannelDefinition;
  readonly isPublic: boolean;
  /** Actions whose authorization takes no parameter and has no guard: it answers the same for everybody. */
  readonly blind: readonly ChannelAction[];
}

/** How the admin API is mounted. */
export interface AdminFacts {
  readonly guards: readonly string[];
  /** Whether one of the guards looks at the request. */
  readonly guarded: boolean;
  /** Whether `authorityOf` looks at the request. */
  readonly asksAuthority: boolean;
  /** Whether `by` looks at the request. */
  readonly namesCaller: boolean;
}

/** What the checks look at: the options with every default filled in, the channels, and what the modules show. */
export interface Facts {
  readonly config: RealtimeConfig;
  /** Whether clients connect to this application. */
  readonly attaches: boolean;
  /** After which time its HTTP server ends idle connections, in milliseconds; 0 for never, `undefined` where `main.ts` makes it. */
  readonly keepAliveMs: number | undefined;
  readonly broker: { readonly name: string; readonly capabilities: BrokerCapabilities };
  readonly storage: StorageFacts;
  readonly channels: readonly ChannelFacts[];
  /** Requests without a channel that everybody may call. */
  readonly openRequests: readonly string[];
  /** Who injects the health indicator; `undefined` where its module is not imported. */
  readonly health: readonly string[] | undefined;
  /** Names of what measures. */
  readonly metrics: readonly string[];
  /** How often the module of metrics sends a probe, in milliseconds; 0 for never, `undefined` where it is not there. */
  readonly probeEveryMs: number | undefined;
  readonly admin: AdminFacts | undefined;
  /** Absent where nothing is traced, or what traces does not say. */
  readonly tracing: TracingFacts | undefined;
  /** Memory of the machine, in bytes. */
  readonly machineBytes: number;
  /** How long the orchestrator waits between SIGTERM and SIGKILL, in milliseconds. */
  readonly graceMs: number;
}

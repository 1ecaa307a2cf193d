import type { Position } from './position.js';

/** What every client command but `pong` carries. */
interface CommandBase {
  readonly id: string;
  readonly ts?: number;
  readonly trace?: string;
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** First command of every connection (P3). */
export interface HelloCommand extends CommandBase {
  readonly type: 'hello';
  readonly payload: {
    readonly versions: readonly number[];
    readonly features?: readonly string[];
    readonly token?: string;
    /** The last session ticket (P28). */
    readonly session?: string;
    readonly client?: { readonly name?: string; readonly version?: string };
  };
}

/** Refreshes the credential in place (G12). */
export interface AuthCommand extends CommandBase {
  readonly type: 'auth';
  readonly payload: { readonly token: string };
}

/** How a member takes part in presence. */
export interface PresenceOptions {
  /** Whether `presence` frames are wanted. Default true. */
  readonly receive?: boolean;
  /** Data of one's own membership; without it the user is a member with no data. */
  readonly data?: unknown;
}

export interface SubscribeCommand extends CommandBase {
  readonly type: 'subscribe';
  readonly channel: string;
  readonly payload: {
    readonly position?: Position;
    readonly params?: Readonly<Record<string, unknown>>;
    /** Whether the channel's snapshot is wanted where it would be given. Default true. */
    readonly snapshot?: boolean;
    readonly presence?: false | PresenceOptions;
  };
}

export interface UnsubscribeCommand extends CommandBase {
  readonly type: 'unsubscribe';
  readonly channel: string;
}

export interface PublishCommand extends CommandBase {
  readonly type: 'publish';
  readonly channel: string;
  readonly event: string;
  readonly key?: string;
  readonly ttl?: number;
  readonly after?: string;
  readonly payload?: unknown;
}

export interface SignalCommand extends CommandBase {
  readonly type: 'signal';
  readonly channel: string;
  readonly event: string;
  readonly payload?: unknown;
}

export interface RequestCommand extends CommandBase {
  readonly type: 'request';
  readonly channel?: string;
  readonly event: string;
  readonly payload?: unknown;
}

export interface HistoryCommand extends CommandBase {
  readonly type: 'history';
  readonly channel: string;
  /** Bounds are inclusive. */
  readonly payload: {
    /** The epoch that the bounds belong to; left out, the current one. */
    readonly epoch?: string;
    /** First `seq` wanted. Default: the oldest that is kept. */
    readonly from?: number;
    /** Last `seq` wanted. Default: the newest. */
    readonly until?: number;
    /** Most events, 1–1000. Default 100. */
    readonly limit?: number;
    /** Newest first. Default false. */
    readonly reverse?: boolean;
  };
}

export interface PresenceCommand extends CommandBase {
  readonly type: 'presence';
  readonly channel: string;
  readonly payload: { readonly cursor?: string; readonly limit?: number };
}

export interface PresenceUpdateCommand extends CommandBase {
  readonly type: 'presence_update';
  readonly channel: string;
  readonly payload: { readonly data: unknown };
}

export interface PingCommand extends CommandBase {
  readonly type: 'ping';
}

/** Answers the server's `ping`; the only command without `id`. */
export interface PongCommand {
  readonly type: 'pong';
  readonly ref?: string;
}

export interface ByeCommand extends CommandBase {
  readonly type: 'bye';
}

/** Every command that a client may send: the closed set of P5. */
export type ClientCommand =
  | HelloCommand
  | AuthCommand
  | SubscribeCommand
  | UnsubscribeCommand
  | PublishCommand
  | SignalCommand
  | RequestCommand
  | HistoryCommand
  | PresenceCommand
  | PresenceUpdateCommand
  | PingCommand
  | PongCommand
  | ByeCommand;

/** Name of a client command. */
export type ClientCommandType = ClientCommand['type'];

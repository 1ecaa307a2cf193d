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

/** Replaces the credential of a live connection (G12). */
export interface AuthCommand extends CommandBase {
  readonly type: 'auth';
  readonly payload: { readonly token: string };
}

/** How a member takes part in presence. */
export interface PresenceOptions {
  /** Whether `presence` frames are wanted. Default true. */
  readonly receive?: boolean;
  /** Data of the own membership. Default none. */
  readonly data?: unknown;
}

/** How to subscribe. */
export interface SubscribeOptions {
  /** Continue from here, e.g. from a stored `room.position` (P13). Default: from now on, with the snapshot. */
  readonly position?: Position;
  /** Given to the server's authorization and snapshot handlers. */
  readonly params?: Readonly<Record<string, unknown>>;
  /** Whether the channel's snapshot is wanted. Default true. */
  readonly snapshot?: boolean;
  /** How to take part in presence; `false` for not at all. Default: as the channel is declared. */
  readonly presence?: false | PresenceOptions;
}

export interface SubscribeCommand extends CommandBase {
  readonly type: 'subscribe';
  readonly channel: string;
  readonly payload: SubscribeOptions;
}

export interface UnsubscribeCommand extends CommandBase {
  readonly type: 'unsubscribe';
  readonly channel: string;
}

export interface SignalCommand extends CommandBase {
  readonly type: 'signal';
  readonly channel: string;
  readonly event: string;
  readonly payload?: unknown;
}

export interface PublishCommand extends Omit<SignalCommand, 'type'> {
  readonly type: 'publish';
  readonly key?: string;
  readonly ttl?: number;
  readonly after?: string;
}

export interface RequestCommand extends CommandBase {
  readonly type: 'request';
  readonly channel?: string;
  readonly event: string;
  readonly payload?: unknown;
}

/** Asks for the channel's state as it is now (P26e). */
export interface SnapshotCommand extends CommandBase {
  readonly type: 'snapshot';
  readonly channel: string;
}

/** Which part of the log to read; bounds are inclusive. */
export interface HistoryOptions {
  /** First `seq` wanted. Default: the oldest that is kept. */
  readonly from?: number;
  /** Last `seq` wanted. Default: the newest. */
  readonly until?: number;
  /** Events of one page; more than 1 000 counts as 1 000. Default 100. */
  readonly limit?: number;
  /** Newest first. Default false. */
  readonly reverse?: boolean;
  /** Epoch that the bounds belong to; the client fills in that of its position when there is a bound. */
  readonly epoch?: string;
}

export interface HistoryCommand extends CommandBase {
  readonly type: 'history';
  readonly channel: string;
  readonly payload: HistoryOptions;
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
  | SnapshotCommand
  | PresenceCommand
  | PresenceUpdateCommand
  | PingCommand
  | PongCommand
  | ByeCommand;

/** Name of a client command. */
export type ClientCommandType = ClientCommand['type'];

import type { Type } from '@nestjs/common';
import type { EngineSettings } from '../../core/ports/settings.js';
import type { Broker } from '../../core/ports/broker.js';
import type { WebSocketTransportOptions } from '../../transports/websocket/index.js';
import type { RealtimeAuthenticator, RealtimeConnectHook, RealtimeJwtOptions } from '../realtime-options.js';

/** How clients authenticate, after validation. `undecided` is refused as soon as there is a server to attach to. */
export type AuthConfig =
  | { readonly mode: 'undecided' | 'anonymous' }
  | { readonly mode: 'jwt'; readonly jwt: RealtimeJwtOptions }
  | { readonly mode: 'custom'; readonly authenticator: Type<RealtimeAuthenticator> | RealtimeAuthenticator };

/** What the transport is told, once it is checked. */
export type TransportConfig = WebSocketTransportOptions & { readonly path: string };

/** The module's options after validation: no default is left open, every duration is in milliseconds. */
export interface RealtimeConfig {
  readonly auth: AuthConfig;
  readonly transport: TransportConfig;
  readonly settings: EngineSettings;
  readonly broker: () => Broker;
  readonly publisherOnly: boolean;
  readonly connect: Type<RealtimeConnectHook> | undefined;
  readonly drainDeadlineMs: number;
  /** Whether the ticket secret was made up by this process. */
  readonly randomTicketSecret: boolean;
}

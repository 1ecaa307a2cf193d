import type { ConnectionRequest } from '../../core/ports/channel-definition.js';
import { isPromise } from '../../core/ports/maybe-promise.js';
import type { ConnectionListener, RealtimeConnection } from '../../core/ports/realtime-connection.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { RealtimeContext } from '../decorators/realtime-context.js';
import { gatewayPort, subscribedMessage } from '../decorators/subscribe-message-metadata.js';
import type { HandlerCompiler } from '../enhancers/handler-compiler.js';
import type { HandlerHost } from '../enhancers/handler-target.js';
import type { ErrorMapper } from '../errors/error-mapper.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { methodsOf } from './channel-methods.js';
import { checkEvent } from './channel-policy.js';
import type { ChannelScanner } from './channel-scanner.js';

/** The requests and connection hooks of the gateways that share the realtime connections. */
export interface BridgedGateways {
  readonly requests: ReadonlyMap<string, ConnectionRequest>;
  readonly listeners: readonly ConnectionListener[];
}

/** The hooks of Nest's gateways. */
interface GatewayHooks {
  handleConnection?(client: RealtimeConnection, request: RealtimeConnection): unknown;
  handleDisconnect?(client: RealtimeConnection): unknown;
}

/**
 * Makes requests without a channel of the `@SubscribeMessage` handlers of plain gateways. Each runs behind its own
 * guards, pipes, interceptors and filters, and the global ones, as on a channel.
 */
export class GatewayExplorer {
  constructor(
    private readonly scanner: ChannelScanner,
    private readonly compiler: HandlerCompiler,
    private readonly mapper: ErrorMapper,
    private readonly problems: BootProblems,
  ) {}

  /** @param anonymous Whether clients without a user may call the handlers. */
  explore(anonymous: boolean): BridgedGateways {
    const requests = new Map<string, ConnectionRequest>();
    const sources = new Map<string, string>();
    const listeners: ConnectionListener[] = [];
    for (const host of this.scanner.gateways()) {
      if (gatewayPort(host.metatype) !== 0) continue;
      listeners.push(this.listenerOf(host));
      for (const [methodName, method] of methodsOf(host.metatype)) {
        const subscribed = subscribedMessage(method);
        if (subscribed === undefined || subscribed.hidden) continue;
        const source = `${host.metatype.name}.${methodName}`;
        const event = subscribed.message as string;
        checkEvent(event, source, this.problems);
        const other = sources.get(event);
        if (other !== undefined) {
          this.problems.add(
            source,
            `handles "${event}", as ${other} does; a request has one answer.`,
            'Rename one of them.',
          );
        }
        sources.set(event, source);
        const compiled = this.compiler.compile({ host, method, methodName }, { emptyAllowed: true });
        requests.set(event, {
          authorize: anonymous ? 'public' : ({ user }) => user !== undefined,
          handle: (call) => {
            const result = compiled.run(new RealtimeContext('request', call));
            return isPromise(result) ? result.then(replyOf) : replyOf(result);
          },
        });
      }
    }
    return { requests, listeners };
  }

  private listenerOf({ instance, metatype }: HandlerHost): ConnectionListener {
    const gateway: GatewayHooks = instance;
    // Nest drops the promise of these hooks: a rejection would end the process.
    const run = async (hook: string, { about }: RealtimeConnection, call: () => unknown): Promise<void> => {
      try {
        await call();
      } catch (error) {
        this.mapper.toRealtimeError(error, { source: `${metatype.name}.${hook}`, about });
      }
    };
    return {
      // The connection resembles the request that other adapters pass beside the client.
      opened: (connection) =>
        void run('handleConnection', connection, () => gateway.handleConnection?.(connection, connection)),
      closed: (connection) =>
        void run('handleDisconnect', connection, () => gateway.handleDisconnect?.(connection)),
    };
  }
}

/** Leaves only the data of Nest's `WsResponse`: it names the event of a reply, which our `ref` does. */
function replyOf(result: unknown): unknown {
  if (!isRecord(result) || typeof result.event !== 'string') return result;
  const keys = Object.keys(result);
  return keys.every((key) => key === 'event' || key === 'data') ? result.data : result;
}

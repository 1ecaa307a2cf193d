import type { ConnectionRequest } from '../../core/ports/channel-definition.js';
import type { ConnectionListener } from '../../core/ports/realtime-connection.js';
import { isPromise } from '../../core/ports/maybe-promise.js';
import type { RealtimeConnection } from '../../core/ports/realtime-connection.js';
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

/** What the gateways that ride on realtime connections come to. */
export interface RidingGateways {
  readonly requests: ReadonlyMap<string, ConnectionRequest>;
  readonly listeners: readonly ConnectionListener[];
}

/** The hooks of Nest's gateways; a gateway may have neither. */
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
  ) {}

  explore(anonymous: boolean, problems: BootProblems): RidingGateways {
    const requests = new Map<string, ConnectionRequest>();
    const sources = new Map<string, string>();
    const listeners: ConnectionListener[] = [];
    for (const host of this.scanner.gateways(problems)) {
      if (gatewayPort(host.metatype) !== 0) continue;
      listeners.push(this.listenerOf(host));
      for (const [methodName, method] of methodsOf(host.metatype)) {
        const subscribed = subscribedMessage(method);
        if (subscribed === undefined || subscribed.hidden) continue;
        const source = `${host.metatype.name}.${methodName}`;
        const event = subscribed.message as string;
        checkEvent(event, source, problems);
        const other = sources.get(event);
        if (other !== undefined) {
          problems.add(
            source,
            `handles "${event}", as ${other} does; a request has one answer.`,
            'Rename one of them.',
          );
        }
        sources.set(event, source);
        const compiled = this.compiler.compile({ host, method, methodName }, problems, {
          emptyAllowed: true,
        });
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
    const gateway = instance as GatewayHooks;
    const run = (hook: string, connection: RealtimeConnection, call: () => unknown): void => {
      // Nest drops the promise of these hooks: a rejection would end the process.
      const report = (error: unknown): void => {
        this.mapper.toRealtimeError(error, {
          source: `${metatype.name}.${hook}`,
          connectionId: connection.id,
        });
      };
      try {
        const result = call();
        if (isPromise(result)) result.catch(report);
      } catch (error) {
        report(error);
      }
    };
    return {
      // The connection looks like the request that other adapters pass beside the client.
      opened: (connection) =>
        run('handleConnection', connection, () => gateway.handleConnection?.(connection, connection)),
      closed: (connection) =>
        run('handleDisconnect', connection, () => gateway.handleDisconnect?.(connection)),
    };
  }
}

/** Nest's `WsResponse` names the event of a reply, which the `ref` of ours does: only its data is left. */
function replyOf(result: unknown): unknown {
  if (!isRecord(result) || typeof result.event !== 'string') return result;
  const keys = Object.keys(result);
  return keys.every((key) => key === 'event' || key === 'data') ? result.data : result;
}

import { MetadataScanner } from '@nestjs/core';
import { handlersOf, type HandlerDeclaration } from '../decorators/handler-metadata.js';
import { isGateway, subscribedMessage } from '../decorators/subscribe-message-metadata.js';
import type { HandlerHost, Method } from '../enhancers/handler-target.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { ChannelMetadata } from '../decorators/channel.decorator.js';

/** A provider that carries `@Channel`. */
export interface ChannelHost extends HandlerHost {
  readonly channel: ChannelMetadata;
}

/** A method with one thing that it is for. */
export interface DeclaredMethod {
  readonly name: string;
  readonly method: Method;
  readonly declaration: HandlerDeclaration;
}

const scanner = new MetadataScanner();

/** Names and functions of all methods, inherited ones included. */
export function methodsOf(type: { readonly prototype: unknown }): readonly (readonly [string, Method])[] {
  const prototype = type.prototype as Record<string, Method>;
  return scanner.getAllMethodNames(prototype).flatMap((name) => {
    const method = prototype[name];
    return method === undefined ? [] : [[name, method] as const];
  });
}

/** What the methods of a channel class declare, Nest's `@SubscribeMessage` included. */
export function declaredMethods(host: ChannelHost, problems: BootProblems): readonly DeclaredMethod[] {
  const found: DeclaredMethod[] = [];
  const exposed: string[] = [];
  for (const [name, method] of methodsOf(host.metatype)) {
    for (const declaration of handlersOf(method)) found.push({ name, method, declaration });
    const subscribed = subscribedMessage(method);
    if (subscribed === undefined) continue;
    exposed.push(name);
    const { message, hidden } = subscribed;
    if (typeof message !== 'string') {
      problems.add(
        `${host.metatype.name}.${name}`,
        'its @SubscribeMessage is not a string.',
        'Clients send event names: use one.',
      );
    } else if (isOnChannel(host)) {
      found.push({ name, method, declaration: { kind: 'request', event: message, scope: 'channel' } });
    }
    checkHidden(host, name, hidden, problems);
  }
  checkExposure(host, exposed, problems);
  return found;
}

function isOnChannel({ metatype, channel }: ChannelHost): boolean {
  return !isGateway(metatype) || channel.options.expose?.includes('channel') === true;
}

/** A handler that should be on the channel only, but that the class inherited from where Nest still sees it. */
function checkHidden(
  { metatype, channel }: ChannelHost,
  name: string,
  hidden: boolean,
  problems: BootProblems,
): void {
  const { expose } = channel.options;
  if (!isGateway(metatype) || expose === undefined || expose.includes('gateway') || hidden) return;
  problems.add(
    `${metatype.name}.${name}`,
    'is inherited, so Nest serves it on the gateway’s path although "expose" leaves that out.',
    'Override it in the class, use @OnRequest, or expose it on the gateway too.',
  );
}

function checkExposure(
  { metatype, channel }: ChannelHost,
  methods: readonly string[],
  problems: BootProblems,
): void {
  const { expose } = channel.options;
  if (
    expose !== undefined &&
    !(Array.isArray(expose) && expose.every((one) => one === 'channel' || one === 'gateway'))
  ) {
    problems.add(
      metatype.name,
      '"expose" is not a list of "channel" and "gateway".',
      'Give e.g. ["channel"].',
    );
  }
  if (!isGateway(metatype) || expose !== undefined || methods.length === 0) return;
  problems.add(
    metatype.name,
    `is a @WebSocketGateway and a @Channel, and Nest serves @SubscribeMessage (${methods.join(', ')}) on the gateway's path to everybody who connects there, without the channel's authorization.`,
    'Say where they may be reached: @Channel(pattern, { expose: ["channel"] }), ["gateway"] or both. Or use @OnRequest.',
  );
}

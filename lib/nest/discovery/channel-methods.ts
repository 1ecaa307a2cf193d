import { MetadataScanner } from '@nestjs/core';
import type { ChannelMetadata, Exposure } from '../decorators/channel.decorator.js';
import { handlersOf, type HandlerDeclaration } from '../decorators/handlers.decorator.js';
import { isGateway, subscribedMessage } from '../decorators/subscribe-message-metadata.js';
import type { HandlerHost, Method } from '../enhancers/handler-target.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';

/** A provider that carries `@Channel`. */
export interface ChannelHost extends HandlerHost {
  readonly channel: ChannelMetadata;
}

/** A method with one of its declarations. */
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
  const { metatype } = host;
  const expose = exposureOf(host, problems);
  const isOnChannel = !isGateway(metatype) || expose?.includes('channel') === true;
  const isHidden = isGateway(metatype) && expose?.includes('gateway') === false;
  const found: DeclaredMethod[] = [];
  const exposed: string[] = [];
  for (const [name, method] of methodsOf(metatype)) {
    for (const declaration of handlersOf(method)) found.push({ name, method, declaration });
    const subscribed = subscribedMessage(method);
    if (subscribed === undefined) continue;
    exposed.push(name);
    const { message, hidden } = subscribed;
    if (typeof message !== 'string') {
      problems.add(
        `${metatype.name}.${name}`,
        'its @SubscribeMessage is not a string.',
        'Clients send event names: use one.',
      );
    } else if (isOnChannel) {
      found.push({ name, method, declaration: { kind: 'request', event: message, scope: 'channel' } });
    }
    // The decorator hides the methods of the class only, because its base class may be a gateway too.
    if (isHidden && !hidden) {
      problems.add(
        `${metatype.name}.${name}`,
        'is inherited, so Nest serves it on the gateway’s path although "expose" leaves that out.',
        'Override it in the class, use @OnRequest, or expose it on the gateway too.',
      );
    }
  }
  if (isGateway(metatype) && host.channel.options.expose === undefined && exposed.length > 0) {
    problems.add(
      metatype.name,
      `is a @WebSocketGateway and a @Channel, and Nest serves @SubscribeMessage (${exposed.join(', ')}) on the gateway's path to everybody who connects there, without the channel's authorization.`,
      'Declare where clients reach them: @Channel(pattern, { expose: ["channel"] }), ["gateway"] or both. Or use @OnRequest.',
    );
  }
  return found;
}

/** The option `expose`; `undefined`, and reported, where it is not a list of the two words. */
function exposureOf(
  { metatype, channel }: ChannelHost,
  problems: BootProblems,
): readonly Exposure[] | undefined {
  const { expose } = channel.options;
  if (expose === undefined) return undefined;
  const given: unknown = expose;
  if (Array.isArray(given) && given.every((one) => one === 'channel' || one === 'gateway')) return expose;
  problems.add(metatype.name, '"expose" is not a list of "channel" and "gateway".', 'Give e.g. ["channel"].');
  return undefined;
}

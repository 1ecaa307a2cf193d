import 'reflect-metadata';
import { Scope, type Type } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { CHANNEL_METADATA, POLICY_METADATA, PUBLIC_CHANNEL_METADATA } from '../constants.js';
import type { ChannelMetadata } from '../decorators/channel.decorator.js';
import { handlersOf } from '../decorators/handler-metadata.js';
import { isGateway } from '../decorators/subscribe-message-metadata.js';
import type { HandlerHost } from '../enhancers/handler-target.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { methodsOf, type ChannelHost } from './channel-methods.js';

/**
 * Finds the channel classes of the application, and its gateways, among the providers of all modules. Modules that
 * are loaded lazily later are not seen.
 */
export class ChannelScanner {
  constructor(private readonly discovery: DiscoveryService) {}

  channels(problems: BootProblems): readonly ChannelHost[] {
    for (const { metatype } of this.discovery.getControllers()) {
      if (typeof metatype === 'function' && channelOf(metatype) !== undefined) {
        problems.add(
          metatype.name,
          'carries @Channel but is registered as a controller.',
          'Move it to "providers".',
        );
      }
    }
    const found: ChannelHost[] = [];
    for (const host of this.hosts((type) => channelOf(type) !== undefined, problems)) {
      const channel = channelOf(host.metatype);
      const twin = found.find(({ metatype }) => metatype === host.metatype);
      if (twin !== undefined) reportTwin(twin, host, problems);
      else if (channel !== undefined) found.push({ ...host, channel });
    }
    this.reportForgotten(problems);
    return found;
  }

  /** A forgotten `@Channel` is safe, for nobody gets at the class; but clients would only hear `unknown_channel`. */
  private reportForgotten(problems: BootProblems): void {
    for (const wrapper of this.discovery.getProviders() as InstanceWrapper<object | undefined>[]) {
      const type = wrapper.isAlias ? undefined : typeOf(wrapper);
      if (type === undefined || channelOf(type) !== undefined || !looksLikeChannel(type)) continue;
      problems.add(
        type.name,
        'has decorators of a channel, but is none.',
        'Add @Channel(pattern) to the class, or take them off.',
      );
    }
  }

  gateways(problems: BootProblems): readonly HandlerHost[] {
    return [...this.hosts(isGateway, problems)];
  }

  private *hosts(wanted: (type: Type) => boolean, problems: BootProblems): Iterable<HandlerHost> {
    for (const wrapper of this.discovery.getProviders() as InstanceWrapper<object | undefined>[]) {
      if (wrapper.isAlias) continue;
      const type = typeOf(wrapper);
      if (type === undefined || wrapper.host === undefined || !wanted(type)) continue;
      // Nest has no instance of these, only an object on the prototype whose constructor never ran.
      if (!wrapper.isDependencyTreeStatic() || wrapper.scope === Scope.TRANSIENT) {
        problems.add(
          type.name,
          `is ${wrapper.scope === Scope.TRANSIENT ? 'transient' : 'request-scoped, by itself or by something it injects'}.`,
          'Connections outlive requests: make it a singleton, and keep what belongs to a connection in connection.data.',
        );
      } else if (wrapper.instance != null) {
        yield { instance: wrapper.instance, metatype: type, module: wrapper.host };
      }
    }
  }
}

function channelOf(type: object): ChannelMetadata | undefined {
  return Reflect.getMetadata(CHANNEL_METADATA, type) as ChannelMetadata | undefined;
}

function looksLikeChannel(type: Type): boolean {
  return (
    Reflect.hasMetadata(PUBLIC_CHANNEL_METADATA, type) ||
    Reflect.hasMetadata(POLICY_METADATA, type) ||
    methodsOf(type).some(([, method]) => handlersOf(method).length > 0)
  );
}

/** The class behind a provider; a factory's or value's is known by what it gave. */
function typeOf(wrapper: InstanceWrapper<object | undefined>): Type | undefined {
  const made = wrapper.metatype === null || wrapper.inject != null;
  const type: unknown = made ? wrapper.instance?.constructor : wrapper.metatype;
  return typeof type === 'function' ? (type as Type) : undefined;
}

function reportTwin(first: HandlerHost, second: HandlerHost, problems: BootProblems): void {
  const modules = [first, second].map(({ module }) => module.metatype.name);
  problems.add(
    first.metatype.name,
    modules[0] === modules[1]
      ? `is provided twice in ${modules[0]}.`
      : `is provided in two modules, ${modules.join(' and ')}, so there are two of it.`,
    'Provide it once, and export it from that module where others inject it.',
  );
}

import 'reflect-metadata';
import { Scope, type Type } from '@nestjs/common';
import type { DiscoveryService } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { POLICY_METADATA, PUBLIC_CHANNEL_METADATA } from '../decorators/authorize.decorator.js';
import { channelOf } from '../decorators/channel.decorator.js';
import { handlersOf } from '../decorators/handlers.decorator.js';
import { isGateway } from '../decorators/subscribe-message-metadata.js';
import type { HandlerHost } from '../enhancers/handler-target.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { methodsOf, type ChannelHost } from './channel-methods.js';

/**
 * Finds the channel classes of the application, and its gateways, among the providers of all modules. It does not find
 * those of modules that are loaded lazily later.
 */
export class ChannelScanner {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly problems: BootProblems,
  ) {}

  channels(): readonly ChannelHost[] {
    for (const { metatype } of this.discovery.getControllers()) {
      if (typeof metatype === 'function' && channelOf(metatype) !== undefined) {
        this.problems.add(
          metatype.name,
          'carries @Channel but is registered as a controller.',
          'Move it to "providers".',
        );
      }
    }
    const found: ChannelHost[] = [];
    for (const host of this.hosts((type) => channelOf(type) !== undefined)) {
      const channel = channelOf(host.metatype);
      const twin = found.find(({ metatype }) => metatype === host.metatype);
      if (twin !== undefined) reportTwin(twin, host, this.problems);
      else if (channel !== undefined) found.push({ ...host, channel });
    }
    // A forgotten `@Channel` is safe, because no client reaches the class; but they would only see `unknown_channel`.
    for (const [type] of this.providers()) {
      if (channelOf(type) !== undefined || !looksLikeChannel(type)) continue;
      this.problems.add(
        type.name,
        'has decorators of a channel, but no @Channel().',
        'Add @Channel(pattern) to the class, or remove them.',
      );
    }
    return found;
  }

  gateways(): readonly HandlerHost[] {
    return [...this.hosts(isGateway)];
  }

  private *hosts(wanted: (type: Type) => boolean): Iterable<HandlerHost> {
    for (const [type, wrapper] of this.providers()) {
      if (wrapper.host === undefined || !wanted(type)) continue;
      // Nest has no instance of these, only an object with their prototype whose constructor never ran.
      if (!wrapper.isDependencyTreeStatic() || wrapper.scope === Scope.TRANSIENT) {
        this.problems.add(
          type.name,
          `is ${wrapper.scope === Scope.TRANSIENT ? 'transient' : 'request-scoped, by itself or by something it injects'}.`,
          'Connections outlive requests: make it a singleton, and keep what belongs to a connection in connection.data.',
        );
      } else if (wrapper.instance != null) {
        yield { instance: wrapper.instance, metatype: type, module: wrapper.host };
      }
    }
  }

  /** Every provider but aliases, with its class. */
  private *providers(): Iterable<[Type, InstanceWrapper<object | undefined>]> {
    for (const wrapper of this.discovery.getProviders() as InstanceWrapper<object | undefined>[]) {
      const type = wrapper.isAlias ? undefined : typeOf(wrapper);
      if (type !== undefined) yield [type, wrapper];
    }
  }
}

function looksLikeChannel(type: Type): boolean {
  return (
    Reflect.hasMetadata(PUBLIC_CHANNEL_METADATA, type) ||
    Reflect.hasMetadata(POLICY_METADATA, type) ||
    methodsOf(type).some(([, method]) => handlersOf(method).length > 0)
  );
}

/** The class of a provider; of a factory or value, the class of its instance. */
function typeOf(wrapper: InstanceWrapper<object | undefined>): Type | undefined {
  const isMade = wrapper.metatype === null || wrapper.inject != null;
  const type: unknown = isMade ? wrapper.instance?.constructor : wrapper.metatype;
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

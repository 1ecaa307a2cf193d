import { ChannelPattern } from '../../core/channel/pattern.js';
import type { ChannelDefinition, ConnectionRequest } from '../../core/ports/channel-definition.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { isReservedChannel } from '../../protocol/channel-name.js';
import type { HandlerCompiler } from '../enhancers/handler-compiler.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { BehaviourBuilder } from './behaviour-builder.js';
import type { ChannelHost } from './channel-methods.js';
import { resolvePolicy, type PolicyBounds } from './channel-policy.js';
import type { ChannelScanner } from './channel-scanner.js';

/** Turns the application's `@Channel` classes into definitions for the engine, once, at boot. */
export class ChannelExplorer {
  constructor(
    private readonly scanner: ChannelScanner,
    private readonly compiler: HandlerCompiler,
    private readonly logger: EngineLogger,
    private readonly problems: BootProblems,
  ) {}

  /** The channels, and the requests that need no channel, by event. */
  async explore(bounds: PolicyBounds) {
    const { compiler, logger, problems } = this;
    const channels: ChannelDefinition[] = [];
    const requests = new Map<string, ConnectionRequest>();
    const patterns: { pattern: ChannelPattern; source: string }[] = [];
    for (const host of this.scanner.channels()) {
      const source = host.metatype.name;
      const pattern = this.parse(host);
      if (pattern === undefined) continue;
      const other = patterns.find((entry) => entry.pattern.overlaps(pattern));
      if (other !== undefined) {
        problems.add(
          source,
          `its pattern "${pattern.text}" and "${other.pattern.text}" of ${other.source} match the same names, so it is open which of them authorizes.`,
          'Make a literal segment differ, or merge the classes.',
        );
      }
      patterns.push({ pattern, source });

      const { options } = host.channel;
      const { policy, signals } = resolvePolicy(options, `@Channel of ${source}`, bounds, problems);
      const builder = new BehaviourBuilder(host, pattern, compiler, logger, problems);
      const { behaviour, connectionRequests } = await builder.build(signals);
      channels.push({ pattern: pattern.text, source, policy, behaviour });
      for (const [event, request] of connectionRequests) {
        if (requests.has(event)) {
          problems.add(
            source,
            `declares the request "${event}" without a channel, as another class does.`,
            'Rename one.',
          );
        }
        requests.set(event, request);
      }
    }
    return { channels, requests };
  }

  private parse({ metatype, channel }: ChannelHost): ChannelPattern | undefined {
    const report = (problem: string, remedy: string): undefined =>
      void this.problems.add(metatype.name, problem, remedy);
    const pattern: unknown = channel.pattern;
    if (typeof pattern !== 'string') {
      return report(
        'its pattern is not a string.',
        'Give one such as @Channel("rooms.:room"). Is an environment variable set?',
      );
    }
    if (isReservedChannel(pattern)) {
      return report(`its pattern "${pattern}" begins with "$".`, 'Those names are the library’s: rename it.');
    }
    try {
      return ChannelPattern.parse(pattern);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return report('its pattern is invalid.', error.message);
    }
  }
}

import type { ChannelDefinition, ConnectionRequest } from '../../core/ports/channel-definition.js';
import { ChannelPattern } from '../../core/channel/pattern.js';
import { isReservedChannel } from '../../protocol/channel-name.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import type { HandlerCompiler } from '../enhancers/handler-compiler.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import { BehaviourBuilder } from './behaviour-builder.js';
import { resolvePolicy, type PolicyBounds } from './channel-policy.js';
import type { ChannelHost } from './channel-methods.js';
import type { ChannelScanner } from './channel-scanner.js';

/** Everything that the application's channel classes declare. */
export interface Exploration {
  readonly channels: readonly ChannelDefinition[];
  readonly requests: ReadonlyMap<string, ConnectionRequest>;
}

/** Turns the application's `@Channel` classes into definitions for the engine, once, at boot. */
export class ChannelExplorer {
  constructor(
    private readonly scanner: ChannelScanner,
    private readonly compiler: HandlerCompiler,
    private readonly logger: EngineLogger,
  ) {}

  async explore(bounds: PolicyBounds, problems: BootProblems): Promise<Exploration> {
    const channels: ChannelDefinition[] = [];
    const requests = new Map<string, ConnectionRequest>();
    const patterns: { pattern: ChannelPattern; source: string }[] = [];
    for (const host of this.scanner.channels(problems)) {
      const source = host.metatype.name;
      const pattern = this.parse(host, problems);
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

      const { policy, signals } = resolvePolicy(
        host.channel.options,
        `@Channel of ${source}`,
        bounds,
        problems,
      );
      const builder = new BehaviourBuilder(host, pattern, signals, this.compiler, this.logger, problems);
      const { behaviour, connectionRequests } = await builder.build();
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

  private parse({ metatype, channel }: ChannelHost, problems: BootProblems): ChannelPattern | undefined {
    const pattern: unknown = channel.pattern;
    if (typeof pattern !== 'string') {
      problems.add(
        metatype.name,
        'its pattern is no string.',
        'Give one such as @Channel("rooms.:room"). Is an environment variable set?',
      );
      return undefined;
    }
    try {
      if (isReservedChannel(pattern)) {
        problems.add(
          metatype.name,
          `its pattern "${pattern}" begins with "$".`,
          'Those names are the library’s: rename it.',
        );
        return undefined;
      }
      return ChannelPattern.parse(pattern);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      problems.add(metatype.name, 'its pattern is invalid.', error.message);
      return undefined;
    }
  }
}

import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { Overseer } from '../../core/ports/identity.js';
import { RealtimeRuntime, RealtimeService } from '../../nest/index.js';
import { serveFeed } from '../../nest/feed/serve-feed.js';
import type { FrameworkReply } from '../../nest/lifecycle/framework.js';
import { callerOf } from '../caller.js';
import { readQuery, type AdminRequest } from '../input.js';
import type { AdminConfig } from '../options.js';
import { channelName, object } from '../schema.js';
import { ADMIN_CONFIG } from '../tokens.js';
import { NodesFeed } from './nodes-feed.js';

/** How long a stream lasts: then its client comes back through the guards, which know whether it still may. */
const STREAM_LIFE = '5m';
const TAP = object({ channel: channelName }, {});

/** The streams that the page reads: plain event streams of the library's own channels. */
@Injectable()
export class DashboardStreams {
  constructor(
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
    @Optional() private readonly runtime: RealtimeRuntime,
    @Optional() private readonly realtime: RealtimeService,
    private readonly nodes: NodesFeed,
  ) {}

  /** What the nodes count and measure. */
  async readings(request: AdminRequest, response: object): Promise<void> {
    const user = this.onlooker(request);
    const end = this.nodes.watch();
    // Also where the stream is refused: the answer closes.
    ((response as FrameworkReply).raw ?? (response as ServerResponse)).once('close', end);
    await serveFeed(this.runtime.feeds, request, response, {
      channels: [this.nodes.channel],
      user,
      expiresIn: STREAM_LIFE,
      events: false,
    });
  }

  /**
   * The events of a channel as they come. Who looks is no member, and nobody's handlers are asked; the audit has it.
   *
   * @throws RealtimeError `bad_request`, `unknown_channel`.
   */
  async tap(request: AdminRequest, response: object): Promise<void> {
    const { channel } = readQuery(request, TAP);
    const user = this.onlooker(request);
    // First: a name that no channel has is refused.
    await this.realtime.channel(channel).history({ limit: 1 });
    this.realtime.audit.record({ act: 'tap', by: callerOf(this.config, request), channel });
    await serveFeed(this.runtime.feeds, request, response, {
      channels: [channel],
      user,
      expiresIn: STREAM_LIFE,
      events: false,
    });
  }

  private onlooker(request: AdminRequest): Overseer {
    const by = callerOf(this.config, request);
    // A name may hold what no id of a user may.
    return new Overseer(`realtime-admin:${createHash('sha256').update(by).digest('base64url').slice(0, 22)}`);
  }
}

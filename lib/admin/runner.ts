import { Inject, Injectable, Optional } from '@nestjs/common';
import { systemClock } from '../core/ports/clock.js';
import { requireRuntime } from '../nest/errors/realtime-boot-error.js';
import { RealtimeRuntime, RealtimeService } from '../nest/index.js';
import { AdminAnswers } from './answer.js';
import { callerOf } from './caller.js';
import { readBody, readQuery, type AdminRequest } from './input.js';
import type { AdminConfig } from './options.js';
import { ReadEntries } from './read-entries.js';
import { RefusalCounts } from './refusal-counts.js';
import type { AdminRoute } from './route.js';
import { ADMIN_CONFIG } from './tokens.js';

/** Runs a route: reads its input, does it, and answers. */
@Injectable()
export class AdminRunner {
  private readonly reads: ReadEntries;

  constructor(
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
    // Optional in all classes of this module, so that what an application without them gets is the error below, and not Nest's.
    @Optional() private readonly realtime: RealtimeService,
    @Optional() private readonly runtime: RealtimeRuntime,
    private readonly answers: AdminAnswers,
    private readonly refusals: RefusalCounts,
  ) {
    requireRuntime(runtime, 'RealtimeAdminModule');
    this.reads = new ReadEntries({
      clock: systemClock,
      record: (draft) => void realtime.audit.record(draft),
    });
    // Before the engine is made: it notifies whom it was given.
    runtime.observe(refusals.observer);
  }

  /** @throws RealtimeError, which the filter answers. */
  async run(route: AdminRoute, request: AdminRequest, response: unknown): Promise<void> {
    const input = route.method === 'GET' ? readQuery(request, route.input) : readBody(request, route.input);
    const { realtime, reads, refusals } = this;
    const { engine, config } = this.runtime;
    const by = (): string => callerOf(this.config, request);
    const context = { realtime, engine, settings: config.settings, by, reads, refusals };
    this.answers.send(response, await route.run(context, input));
  }
}

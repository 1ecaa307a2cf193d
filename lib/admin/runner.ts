import { Inject, Injectable } from '@nestjs/common';
import { RealtimeRuntime, RealtimeService } from '../nest/index.js';
import { AdminAnswers } from './answer.js';
import { callerOf } from './caller.js';
import { readBody, readQuery, type AdminRequest } from './input.js';
import type { AdminConfig } from './options.js';
import type { AdminRoute } from './route.js';
import { ADMIN_CONFIG } from './tokens.js';

/** Runs a route: reads its input, does it, and answers. */
@Injectable()
export class AdminRunner {
  constructor(
    @Inject(ADMIN_CONFIG) private readonly config: AdminConfig,
    private readonly realtime: RealtimeService,
    private readonly runtime: RealtimeRuntime,
    private readonly answers: AdminAnswers,
  ) {}

  /** @throws RealtimeError, which the filter answers. */
  async run(route: AdminRoute, request: AdminRequest, response: unknown): Promise<void> {
    const input = route.method === 'GET' ? readQuery(request, route.input) : readBody(request, route.input);
    const { realtime } = this;
    const { engine, config } = this.runtime;
    const by = (): string => callerOf(this.config, request);
    this.answers.send(response, await route.run({ realtime, engine, settings: config.settings, by }, input));
  }
}

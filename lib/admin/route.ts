import type { RealtimeEngine } from '../core/engine/realtime-engine.js';
import type { RealtimeService } from '../nest/index.js';
import type { EngineSettings } from '../core/ports/settings.js';
import type { AdminAuthority } from './authority.js';
import type { ReadEntries } from './read-entries.js';
import type { RefusalCounts } from './refusal-counts.js';
import type { Schema } from './schema.js';

/** What a route works with. */
export interface RouteContext {
  readonly realtime: RealtimeService;
  readonly engine: RealtimeEngine;
  readonly settings: EngineSettings;
  /** Who calls, as `options.by` names people. */
  readonly by: () => string;
  /** Records who read what. */
  readonly reads: ReadEntries;
  /** What this node refused. */
  readonly refusals: RefusalCounts;
}

/** One route: the controllers, the OpenAPI document and docs/admin-api.md are made from these. */
export interface AdminRoute {
  /** Name of the operation. */
  readonly id: string;
  /** `GET` takes its input from the query, `POST` from a JSON body. */
  readonly method: 'GET' | 'POST';
  /** Below the path of the module. */
  readonly path: string;
  /** Least authority of a caller. */
  readonly authority: AdminAuthority;
  readonly summary: string;
  readonly input: Schema;
  readonly answer: Schema;
  /** Input for the documents and the tests. */
  readonly example: Readonly<Record<string, unknown>>;
  run(context: RouteContext, input: unknown): Promise<unknown>;
}

/** A route whose `run` knows the type of its input. */
export function route<Input>(
  given: Omit<AdminRoute, 'input' | 'run'> & {
    readonly input: Schema<Input>;
    readonly run: (context: RouteContext, input: Input) => Promise<unknown>;
  },
): AdminRoute {
  return given;
}

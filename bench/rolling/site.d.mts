/** What a site of {@link RollingSite} consists of. */
export interface SiteSettings {
  /** Name of the files in `nodes`, `sources` and `clients`. */
  readonly contender: 'library' | 'socket-io';
  readonly clients: number;
  readonly clientProcesses: number;
  readonly rooms: number;
  /** Events a second of the service, in each channel. */
  readonly ticksPerSecond: number;
  /** Events a second of the one client of each channel that publishes. */
  readonly saidPerSecond: number;
  readonly nodes: number;
  /**
   * Versions of the nodes, each the URL of `bench/rolling/` in a checkout of it that was built; `undefined` for this one. The nodes are
   * all of the first, and are then replaced by those of the next, one after another. Default: this one, and this one.
   */
  readonly versions?: readonly (string | undefined)[];
  /** Further options of the module. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** What became of all events. */
export interface Settled {
  readonly published: number;
  readonly publishedByClients: number;
  /** Why publishes failed. */
  readonly failed: readonly string[];
  /** How many events all clients together should have. */
  readonly expected: number;
  readonly lost: number;
  readonly doubled: number;
  readonly disordered: number;
  /** Announcements that events do not come. */
  readonly gaps: number;
  /** How often clients were subscribed, by what became of what they missed. */
  readonly recoveries: Readonly<Record<string, number>>;
}

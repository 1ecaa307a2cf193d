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
  /** Further options of the module. */
  readonly options?: Readonly<Record<string, unknown>>;
}

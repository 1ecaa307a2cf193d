/** What attackers do. */
export interface Flood {
  readonly name: string;
  readonly title: string;
  /** What the node needs beside its defaults. */
  readonly node?: FloodedNode;
  /** What at least one attacker is told of: close codes, statuses of HTTP, codes of errors. Any of them is enough. */
  readonly answered?: readonly string[];
  /** Whether more come from one address than may be connected or wait, so that newcomers there may be refused for the moment. */
  readonly crowded?: boolean;
  /** Whether it publishes more than the broker may hold: then the oldest events go, whoever wrote them, and the log must say so. */
  readonly fills?: boolean;
  /** Bound of round trips and turns in milliseconds, where most of the cost is the HTTP server's and its framework's own. */
  readonly slowMs?: number;
  /** Megabytes that may be in use after collecting. Default 96. */
  readonly heldMb?: number;
  /** Megabytes above the node's own at the peak. Default 192. */
  readonly peakMb?: number;
}

export interface FloodedNode {
  readonly options?: Readonly<Record<string, unknown>>;
  /** Logs that exist before. */
  readonly logs?: Readonly<Record<string, { readonly events: number; readonly bytes: number }>>;
  /** How long the verification of a token takes. Default: it is a JWT, verified at once. */
  readonly verifyMs?: number;
}

export const floods: readonly Flood[];

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
}

export interface FloodedNode {
  readonly options?: Readonly<Record<string, unknown>>;
  /** Logs that exist before. */
  readonly logs?: Readonly<Record<string, { readonly events: number; readonly bytes: number }>>;
  /** How long the verification of a token takes. Default: it is a JWT, verified at once. */
  readonly verifyMs?: number;
}

export const floods: readonly Flood[];

export interface Clause {
  readonly title: string;
  readonly anchor: string;
}

export interface Proof {
  readonly file: string;
  readonly title: string;
  /** Clauses with their letters, e.g. `P15a`. */
  readonly names: readonly string[];
  /** The same without letters. */
  readonly ids: readonly string[];
}

export interface ClauseDocument {
  readonly document: string;
  readonly heading: string;
  readonly clauses: ReadonlyMap<string, Clause>;
}

export const RESERVED: readonly string[];
export function idsOf(title: string): string[];
export function namesOf(title: string): string[];
export function readClauses(markdown: string): {
  readonly clauses: ReadonlyMap<string, Clause>;
  readonly subs: ReadonlySet<string>;
};
export function testFiles(root: string): string[];
export function testTitles(source: string): { readonly title: string; readonly path: string }[];
export function readTests(root: string): readonly Proof[];
export function renderPromises(documents: readonly ClauseDocument[], tests: readonly Proof[]): string;
export function renderProofs(documents: readonly ClauseDocument[], tests: readonly Proof[]): string;

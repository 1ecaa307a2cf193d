/** What limits.mjs needs of a subject. */
export interface Subject {
  readonly name: string;
  readonly rows: Readonly<
    Record<string, { readonly kind: 'bytes' | 'count' | 'time'; readonly beside?: string }>
  >;
}

export const LIMIT_FILES: readonly string[];
export const LIMIT_MODULES: readonly string[];

export function subjectsOf(modules: object): Subject[];
export function constantsOf(source: string): { readonly name: string; readonly value: number }[];
export function limitProblems(
  types: readonly string[],
  subjects: readonly Subject[],
  sources: ReadonlyMap<string, string>,
): string[];
export function renderLimits(
  types: readonly string[],
  subjects: readonly Subject[],
  sources: ReadonlyMap<string, string>,
): string;

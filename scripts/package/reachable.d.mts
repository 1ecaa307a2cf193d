export function reachable(folder: string, entries: readonly string[]): readonly string[];
export function packagesOf(text: string): readonly string[];

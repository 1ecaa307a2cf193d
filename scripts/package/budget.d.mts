export const budget: Readonly<Record<string, unknown>>;
export function allowed(group: string, ...path: string[]): number;

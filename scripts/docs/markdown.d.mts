export function fencesOf(markdown: string): string[];
export function withoutFences(markdown: string): string;
export function outsideFences(markdown: string, change: (text: string) => string): string;
export function slug(heading: string): string;
export function anchorsOf(markdown: string): Set<string>;

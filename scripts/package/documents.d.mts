export const DOCUMENTS: Readonly<Record<string, Readonly<Record<string, string>>>>;
export function withLinks(
  markdown: string,
  source: string,
  shipped: ReadonlyMap<string, string>,
  manifest: { readonly repository: { readonly url: string }; readonly version: string },
): string;
export function relativeLinks(
  markdown: string,
): readonly { readonly path: string; readonly anchor: string | undefined }[];
export function withoutPadding(markdown: string): string;

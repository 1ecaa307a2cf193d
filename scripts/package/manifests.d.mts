type Manifest = Readonly<Record<string, unknown>> & {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
};
export function manifests(root: Readonly<Record<string, unknown>>): readonly Manifest[];
export function entryFiles(manifest: Manifest): readonly string[];

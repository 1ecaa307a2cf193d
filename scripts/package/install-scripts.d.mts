interface Locked {
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

export function installScripts(
  dependencies: readonly string[],
  lock: { readonly packages: Readonly<Record<string, Locked>> },
): string[];

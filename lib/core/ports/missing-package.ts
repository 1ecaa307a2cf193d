/** Error codes of a missing package, in ES modules and in CommonJS (bundles, tests compiled to CommonJS). */
const NOT_FOUND = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'];

/**
 * Whether an import failed because this package is not installed. A package that is installed but lacks a dependency, or
 * cannot be loaded, is not missing: installing it again would not help.
 */
export function isMissingPackage(error: unknown, name: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code !== undefined && NOT_FOUND.includes(code) && message.includes(`'${name}'`);
}

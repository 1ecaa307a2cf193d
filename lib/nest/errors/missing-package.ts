/** Codes of a package that is not there, in ES modules and in CommonJS (bundles, tests compiled to CommonJS). */
const NOT_FOUND = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'];

/**
 * Whether an import failed because this package is not installed. One that is there and lacks a package of its own, or
 * cannot be loaded, is not missing: to install it again would not help.
 */
export function isMissingPackage(error: unknown, name: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code !== undefined && NOT_FOUND.includes(code) && message.includes(`'${name}'`);
}

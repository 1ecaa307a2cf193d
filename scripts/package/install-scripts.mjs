// Nothing that a package brings may run code at its installation.

/**
 * @param {readonly string[]} dependencies
 * @param {{ packages: Record<string, { hasInstallScript?: boolean, dependencies?: Record<string, string> }> }} lock
 * @returns {string[]} what is wrong with the dependencies, and with theirs
 */
export function installScripts(dependencies, { packages }) {
  const problems = [];
  const waiting = [...dependencies];
  const seen = new Set();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const entry = packages[`node_modules/${name}`];
    if (entry === undefined) {
      problems.push(`${name} is not in package-lock.json: run npm run lock.`);
      continue;
    }
    if (entry.hasInstallScript) problems.push(`${name} has an install script.`);
    waiting.push(...Object.keys(entry.dependencies ?? {}));
  }
  return problems;
}

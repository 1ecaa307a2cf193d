import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);

/**
 * Installs the packages that only the bench compares with, from the lock file of `bench/`, when they are missing.
 * Nothing is built: what needs an install script is left out.
 *
 * @returns what keeps `name` from being loaded, or `undefined`.
 */
export function missingPeer(name) {
  const folder = fileURLToPath(new URL('..', import.meta.url));
  if (!isInstalled(name)) {
    console.log(`Installing the peers of the bench, ${name} among them …`);
    const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--omit=optional', '--loglevel=error'], {
      cwd: folder,
      stdio: 'inherit',
    });
    if (npm.status !== 0 && !isInstalled(name)) return `${name} could not be installed`;
  }
  // In a process of its own: a native module that does not fit the system may end the one that loads it.
  const load = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(name)})`], { cwd: folder });
  return load.status === 0 ? undefined : `${name} does not load on this system`;
}

function isInstalled(name) {
  try {
    require.resolve(`${name}/package.json`);
    return true;
  } catch (error) {
    return error.code === 'ERR_PACKAGE_PATH_NOT_EXPORTED';
  }
}

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('..', import.meta.url));

/**
 * Installs what the benchmarks compare with, unless it was installed from the lock file as it is now. To be called before
 * a module of the bench imports one of these packages.
 *
 * @throws Error when npm fails.
 */
export function installPeers() {
  // npm's own marker is no proof: `npm install --package-lock-only` renews it without installing anything.
  const marker = `${folder}node_modules/.installed-from`;
  const lock = createHash('sha256')
    .update(readFileSync(`${folder}package-lock.json`))
    .digest('hex');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === lock) return;
  console.log('Installing the packages that the benchmarks compare with');
  const { status, error } = spawnSync(
    'npm',
    ['ci', '--no-progress', '--loglevel=error', '--prefix', folder],
    {
      cwd: folder,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  if (error !== undefined || status !== 0) {
    throw new Error(`npm ci in bench/ failed (${error?.message ?? `exit code ${status}`})`);
  }
  writeFileSync(marker, lock);
}

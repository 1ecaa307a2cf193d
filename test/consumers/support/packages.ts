import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../../../', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string };

/** The packages as they are published. */
export const SERVER = 'nestjs-realtime';
export const CLIENT = 'nestjs-realtime-client';
const OURS: readonly string[] = [SERVER, CLIENT];

/** The tarball that `scripts/test.mjs` packed before the tests. */
export function tarball(name: string): string {
  return fileURLToPath(new URL(`test-artifacts/packages/${name}-${version}.tgz`, root));
}

/** The arguments of an install line, with our packages taken from their tarballs. */
export function installArguments(line: string): string[] {
  const [npm, ...args] = line.split(' ');
  if (npm !== 'npm') throw new Error(`Not an npm command: ${line}`);
  return args.map((arg) => (OURS.includes(arg) ? tarball(arg) : arg));
}

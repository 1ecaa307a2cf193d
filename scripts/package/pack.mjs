// `npm run pack`: packs what is published into test-artifacts/packages/, from dist/ as it was built last, and prints the
// paths of the tarballs as JSON. `npm publish <path>` releases one.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { folder, layOut } from './layout.mjs';

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(
    JSON.stringify(
      pack().map(({ tarball }) => tarball),
      null,
      2,
    ),
  );

/** @returns {{ name: string, folder: string, tarball: string }[]} the packages, packed */
export function pack() {
  return layOut().map((laidOut) => ({ ...laidOut, tarball: packed(laidOut) }));
}

function packed({ name, folder: cwd }) {
  const args = ['pack', '--json', '--silent', '--ignore-scripts', '--pack-destination', folder];
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm pack failed for ${name}:\n${stderr}`);
  // npm 11 answers with a list, npm 12 with an object by name.
  const [answer] = Object.values(JSON.parse(stdout));
  return join(folder, answer.filename);
}

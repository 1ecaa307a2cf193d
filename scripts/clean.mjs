// Removes the build folders named as arguments.
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

for (const folder of process.argv.slice(2)) {
  if (!/^dist(-sample)?$/.test(folder)) throw new Error(`Not a build folder: ${folder}`);
  rmSync(fileURLToPath(new URL(`../${folder}`, import.meta.url)), { recursive: true, force: true });
}

// `npm run check:package`: packs both packages and holds them against what they must be. Prints what it measured.
import { build } from 'esbuild';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { spawnSync } from 'node:child_process';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { allowed, budget } from './budget.mjs';
import { contentProblems, filesIn } from './contents.mjs';
import { declarationProblems } from './declarations.mjs';
import { installScripts } from './install-scripts.mjs';
import { folder, root } from './layout.mjs';
import { pack } from './pack.mjs';

const problems = [];
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
for (const tarball of pack()) await check(tarball);
await checkBundles();
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

async function check({ name, folder: laidOut, tarball }) {
  const complain = (problem) => problems.push(`${name}: ${problem}`);
  const manifest = JSON.parse(readFileSync(join(laidOut, 'package.json'), 'utf8'));
  const files = filesIn(laidOut);
  checkSizes(name, tarball, files, complain);
  for (const problem of contentProblems(laidOut)) complain(problem);
  for (const problem of declarationProblems(laidOut)) complain(problem);
  for (const problem of installScripts(Object.keys(manifest.dependencies), lock)) complain(problem);

  const { messages, pkg } = await publint({
    pkgDir: laidOut,
    pack: false,
    level: 'suggestion',
    strict: true,
  });
  for (const message of messages) complain(`publint: ${formatMessage(message, pkg, { color: false })}`);
  console.log(`${name}: publint has ${messages.length} findings`);
  // ES modules only, by decision: what CommonJS applications do is in the README's table.
  const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js');
  const args = [attw, tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-emoji', '--no-color'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  console.log(`${name}: attw ${status === 0 ? 'has no findings' : 'failed'}`);
  if (status !== 0) complain(`attw:\n${stdout}${stderr}`);
}

function checkSizes(name, tarball, files, complain) {
  const sizes = {
    files: files.length,
    packed: statSync(tarball).size,
    unpacked: files.reduce((sum, file) => sum + statSync(file).size, 0),
  };
  console.log(`${name}: ${sizes.files} files, ${sizes.packed} bytes packed, ${sizes.unpacked} unpacked`);
  for (const [what, size] of Object.entries(sizes)) {
    const most = allowed('tarballs', name, what);
    if (size > most) complain(`${what}: ${size}, and scripts/package/budget.mjs allows ${most}.`);
  }
}

async function checkBundles() {
  for (const subpath of Object.keys(budget.bundles)) {
    const most = allowed('bundles', subpath);
    const entry = join(
      folder,
      'nestjs-realtime-client/dist',
      `${subpath.slice('./'.length)}${subpath === './client' ? '/index' : ''}.js`,
    );
    const { outputFiles } = await build({
      entryPoints: [entry],
      bundle: true,
      minify: true,
      format: 'esm',
      write: false,
    });
    const size = gzipSync(outputFiles[0].contents, { level: 9 }).byteLength;
    console.log(`${subpath}: ${size} bytes, bundled, minified and compressed`);
    if (size > most)
      problems.push(`${subpath}: ${size} bytes in a page, and scripts/package/budget.mjs allows ${most}.`);
  }
}

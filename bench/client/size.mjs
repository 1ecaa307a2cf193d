// What each client adds to a page: `node bench/client/size.mjs` prints it, and `npm run bench:client` reports it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { missingPeer } from '../support/peers.mjs';
import { printTable } from '../support/report.mjs';
import { thousands } from '../support/statistics.mjs';
import { bundleOf, SOURCES } from './contenders.mjs';

export const SIZE_COLUMNS = ['client', 'version', 'minified', 'and compressed'];

/** One row for each client that is there: bytes, bundled by esbuild for ES2022, minified, and compressed with gzip at level 9. */
export async function sizes() {
  const rows = [];
  for (const [name, source] of Object.entries(SOURCES)) {
    const [peer] = name.split('/');
    const isOwn = peer === 'nestjs-realtime-client';
    if (!isOwn && missingPeer(peer) !== undefined) continue;
    const minified = Buffer.from(await bundleOf(source, true));
    rows.push([
      name,
      versionOf(isOwn ? '../../package.json' : `../node_modules/${peer}/package.json`),
      thousands(minified.byteLength),
      thousands(gzipSync(minified, { level: 9 }).byteLength),
    ]);
  }
  return rows;
}

function versionOf(file) {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')).version;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) printTable(SIZE_COLUMNS, await sizes());

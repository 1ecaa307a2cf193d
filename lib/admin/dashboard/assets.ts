import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file of the page. */
export interface Asset {
  readonly body: Buffer;
  readonly type: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const FOLDER = fileURLToPath(new URL('./page', import.meta.url));
/** What the page loads of the package that draws its charts. */
const CHARTS = { 'uPlot.esm.js': '.js', 'uPlot.min.css': '.css' } as const;

/** What has to be there of it; Node names this where it is not. */
export const CHARTS_PACKAGE = 'uplot/package.json';

/**
 * Reads the files of the page, once: the list is closed, so that no request leads out of their folder.
 *
 * @throws Error of Node where `uplot` is not installed.
 */
export function readAssets(): ReadonlyMap<string, Asset> {
  const assets = new Map<string, Asset>();
  for (const name of readdirSync(FOLDER)) {
    const type = TYPES[extname(name)];
    if (type !== undefined) assets.set(name, { body: readFileSync(join(FOLDER, name)), type });
  }
  const { resolve } = createRequire(import.meta.url);
  resolve(CHARTS_PACKAGE);
  for (const [name, extension] of Object.entries(CHARTS))
    assets.set(name, { body: readFileSync(resolve(`uplot/dist/${name}`)), type: TYPES[extension] as string });
  return assets;
}

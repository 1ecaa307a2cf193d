import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMissingPackage } from '../../core/ports/missing-package.js';

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

/** The page itself. */
export const PAGE = 'index.html';

/**
 * Reads the files of the page, once: the list is closed, so that no request leads out of their folder.
 *
 * @throws Error where `uplot` is not installed: see {@link isChartsMissing}.
 */
export function readAssets(): ReadonlyMap<string, Asset> {
  const assets = new Map<string, Asset>();
  for (const name of readdirSync(FOLDER)) {
    const type = TYPES[extname(name)];
    if (type !== undefined) assets.set(name, { body: readFileSync(join(FOLDER, name)), type });
  }
  const { resolve } = createRequire(import.meta.url);
  for (const [name, extension] of Object.entries(CHARTS))
    assets.set(name, { body: readFileSync(resolve(`uplot/dist/${name}`)), type: TYPES[extension] as string });
  return assets;
}

/** Whether {@link readAssets} failed because the charts' package is not installed. */
export function isChartsMissing(error: unknown): boolean {
  return Object.keys(CHARTS).some((name) => isMissingPackage(error, `uplot/dist/${name}`));
}

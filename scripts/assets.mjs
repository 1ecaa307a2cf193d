// Part of `npm run build`: copies the files of pages that need no compiler from lib/ to dist/.
import { copyFileSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folders with such files, below lib/ and dist/ alike. */
export const PAGES = ['admin/dashboard/page'];
const TYPES = ['.css', '.html', '.svg'];
const root = fileURLToPath(new URL('..', import.meta.url));

/** Files of a folder of {@link PAGES} that are copied. */
export function assetsOf(page) {
  return readdirSync(join(root, 'lib', page)).filter((name) => TYPES.includes(extname(name)));
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const page of PAGES)
    for (const name of assetsOf(page))
      copyFileSync(join(root, 'lib', page, name), join(root, 'dist', page, name));

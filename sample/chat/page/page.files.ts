import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join, posix, relative, sep } from 'node:path';

/** One file that is served. */
export interface PageFile {
  readonly path: string;
  readonly type: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const library = dirname(createRequire(import.meta.url).resolve('nestjs-realtime/package.json'));

/** The served URLs, with their folders and file types. */
const FOLDERS: readonly (readonly [url: string, folder: string, types: readonly string[]])[] = [
  ['/', join(library, 'sample/chat/public'), ['.html']],
  ['/assets/page', join(library, 'sample/chat/public'), ['.css', '.svg']],
  ['/assets/page', join(library, 'dist-sample/chat/public'), ['.js']],
  // The library's client runs in a browser unchanged: ES modules without a dependency. A bundler would use the same files.
  ['/assets/realtime/client', join(library, 'dist/client'), ['.js']],
  ['/assets/realtime/protocol', join(library, 'dist/protocol'), ['.js']],
];

/**
 * The files by their URL. The list is closed and read once, so no URL leads out of these folders.
 */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const [url, folder, types] of FOLDERS) {
    for (const path of filesIn(folder)) {
      const type = TYPES[extname(path)];
      if (type === undefined || !types.includes(extname(path))) continue;
      files.set(posix.join(url, relative(folder, path).split(sep).join('/')), { path, type });
    }
  }
  return files;
}

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

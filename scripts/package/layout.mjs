// Lays each package out in test-artifacts/packages/<name>/, from dist/ as it was built last: what its entry points lead
// to, and the documents whose links work there.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PAGES } from '../assets.mjs';
import { DOCUMENTS, withLinks, withoutPadding } from './documents.mjs';
import { entryFiles, manifests } from './manifests.mjs';
import { reachable } from './reachable.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));
/** Where packages are laid out and packed. */
export const folder = join(root, 'test-artifacts/packages');

/** @returns {{ name: string, folder: string }[]} the packages, laid out */
export function layOut() {
  rmSync(folder, { recursive: true, force: true });
  const source = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return manifests(source).map((manifest) => ({ name: manifest.name, folder: place(manifest) }));
}

function place(manifest) {
  const target = join(folder, manifest.name);
  const shipped = new Map(Object.entries(DOCUMENTS[manifest.name]));
  for (const file of reachable(root, entryFiles(manifest))) copy(join(root, file), join(target, file));
  if (manifest.name === 'nestjs-realtime') for (const page of PAGES) placePage(`dist/${page}`, target);
  for (const [from, to] of shipped) {
    const markdown = readFileSync(join(root, from), 'utf8');
    write(join(target, to), withoutPadding(withLinks(markdown, from, shipped, manifest)));
  }
  copy(join(root, 'LICENSE'), join(target, 'LICENSE'));
  write(join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  return target;
}

/** What a browser loads: nothing of the package imports it. */
function placePage(page, target) {
  for (const name of readdirSync(join(root, page)))
    if (!name.endsWith('.d.ts')) copy(join(root, page, name), join(target, page, name));
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

function write(to, text) {
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, text);
}

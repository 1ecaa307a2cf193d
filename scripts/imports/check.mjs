// Part of `npm run lint`: lib/ has no circles among its imports.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { circlesOf } from './circles.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const files = readdirSync(join(root, 'lib'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'));
const circles = circlesOf(new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')])));
for (const circle of circles)
  console.error(`These files import one another in a circle: ${circle.join(', ')}`);
process.exitCode = circles.length > 0 ? 1 : 0;

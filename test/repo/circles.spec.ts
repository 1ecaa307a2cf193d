import { describe, expect, it } from '@jest/globals';
import { circlesOf } from '../../scripts/imports/circles.mjs';

const circles = (files: Readonly<Record<string, string>>) => circlesOf(new Map(Object.entries(files)));

describe('circular imports', () => {
  it('a circle between two files, or across folders, is found', () => {
    expect(
      circles({
        'lib/a.ts': `import { b } from './x/b.js';`,
        'lib/x/b.ts': `import { c } from '../c.js';`,
        'lib/c.ts': `export * from './a.js';`,
        'lib/d.ts': `import { a } from './a.js';`,
      }),
    ).toEqual([['lib/a.ts', 'lib/c.ts', 'lib/x/b.ts']]);
  });

  it('a circle of type-only or dynamic imports is found', () => {
    expect(
      circles({ 'a.ts': `import type { B } from './b.js';`, 'b.ts': `const a = () => import('./a.js');` }),
    ).toEqual([['a.ts', 'b.ts']]);
    expect(circles({ 'a.ts': `import type { A } from './a.js';` })).toEqual([['a.ts']]);
  });

  it('two paths to one file, packages and file names in comments are no circles', () => {
    expect(
      circles({
        'a.ts': `import './b.js';\nimport './c.js';\nimport 'ws';`,
        'b.ts': `import './d.js';`,
        'c.ts': `import './d.js';`,
        'd.ts': `// import './a.js';`,
      }),
    ).toEqual([]);
  });
});

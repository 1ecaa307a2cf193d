import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { MACHINE_GLOBALS, MACHINE_IMPORTS, MACHINE_SYNTAX } from './scripts/eslint/deterministic.mjs';
import { importRooms } from './scripts/eslint/import-rooms.mjs';
import { RAW_TIMES } from './scripts/eslint/raw-times.mjs';
import { WALL_CLOCK } from './scripts/eslint/wall-clock.mjs';

const BROWSER_GLOBALS = [
  'window',
  'document',
  'localStorage',
  'sessionStorage',
  'navigator',
  'location',
  'self',
];
const NODE_GLOBALS = ['process', 'Buffer', 'global', '__dirname', '__filename', 'require', 'setImmediate'];

export default defineConfig(
  globalIgnores([
    '**/node_modules/',
    'dist/',
    'dist-sample/',
    'dist-typecheck/',
    'coverage/',
    'test-artifacts/',
    // Belong to other projects, with compilers of their own.
    'test/consumers/files/',
  ]),
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { realtime: { rules: { 'import-rooms': importRooms } } },
  },

  {
    files: ['**/*.ts', '**/*.tsx', '**/*.mts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'realtime/import-rooms': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      // Leaves files with decorators alone: their constructor parameter types are needed at run time.
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // Handlers and ports are `async` by contract, not by what one implementation does.
      '@typescript-eslint/require-await': 'off',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-debugger': 'error',
    },
  },
  {
    files: ['lib/**/*.ts'],
    rules: {
      'no-console': 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'no-restricted-globals': ['error', ...BROWSER_GLOBALS],
    },
  },
  {
    files: ['lib/protocol/**/*.ts', 'lib/client/**/*.ts'],
    rules: { 'no-restricted-globals': ['error', ...NODE_GLOBALS] },
  },
  {
    files: ['lib/**/*.ts'],
    ignores: [
      // The clocks themselves, the places that compare the `exp` of a token, ids that contain the time, and what one page keeps
      // for the next: they share no other clock.
      'lib/core/ports/clock.ts',
      'lib/client/clock.ts',
      'lib/client/http/memory.ts',
      'lib/core/access/verifier.ts',
      'lib/nest/auth/claims.ts',
      // The age of a ticket, which another node may have signed.
      'lib/core/access/node-connects.ts',
      'lib/client/options.ts',
      // The time of a request, which its receiver compares with that of its own host.
      'lib/hooks/webhooks/message.ts',
      'lib/hooks/webhooks/verify-webhook.ts',
    ],
    rules: { 'no-restricted-syntax': ['error', ...WALL_CLOCK] },
  },
  {
    files: ['lib/brokers/machine/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', ...BROWSER_GLOBALS, ...MACHINE_GLOBALS],
      'no-restricted-imports': ['error', { patterns: MACHINE_IMPORTS }],
      // It has no wall clock that could be read: `now` and `ts` are of the record.
      'no-restricted-syntax': ['error', ...MACHINE_SYNTAX],
    },
  },
  {
    // Runs in browsers, and shows people what time it is for them.
    files: ['lib/admin/dashboard/page/**/*.ts'],
    rules: { 'no-restricted-globals': ['error', ...NODE_GLOBALS], 'no-restricted-syntax': 'off' },
  },
  {
    files: ['test/**/*.ts'],
    ignores: ['test/support/property.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { name: 'fast-check', message: 'Take it from test/support/property.ts, which owns the seed.' },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    ignores: ['test/support/patience.ts'],
    rules: { 'no-restricted-syntax': ['error', ...RAW_TIMES] },
  },
  {
    // Tests hold hostile and untyped input in their hands; `any` itself stays forbidden.
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.mjs', '**/*.js', '**/*.cjs'],
    extends: [tseslint.configs.recommended],
    rules: { 'realtime/import-rooms': 'error' },
  },
);

/** The versions that the consumers are made of. Nothing else names one. */
export const PINS = {
  /** What makes the scaffolds. */
  nest11Cli: '@nestjs/cli@11.0.24',
  nest12Cli: '@nestjs/cli@12.0.8',
  createVite: 'create-vite@9.3.0',
  /** The compilers of the types matrix. */
  typescript: ['5.9.3', '6.0.3', '7.0.2'],
  /**
   * npm takes nothing that was published later, so that the ranges in the scaffolds resolve to the same versions every
   * day. Move it to yesterday when a dependency of the library is newer: npm then fails with ETARGET.
   */
  before: '2026-11-25',
} as const;

import { describe, expect, it } from '@jest/globals';
import { isMissingPackage } from '../../../../lib/core/ports/missing-package.js';

const failure = (code: string | undefined, message: string) => Object.assign(new Error(message), { code });

describe('a missing optional package', () => {
  it.each([
    ['an ES module', 'ERR_MODULE_NOT_FOUND', "Cannot find package '@nestjs/jwt' imported from /app/a.js"],
    ['CommonJS', 'MODULE_NOT_FOUND', "Cannot find module '@nestjs/jwt'\nRequire stack:\n- /app/a.js"],
  ])('a package that %s does not find is reported as missing', (_from, code, message) => {
    expect(isMissingPackage(failure(code, message), '@nestjs/jwt')).toBe(true);
  });

  it.each([
    [
      'lacks a package of its own',
      'ERR_MODULE_NOT_FOUND',
      "Cannot find package 'jsonwebtoken' imported from /app/@nestjs/jwt/a.js",
    ],
    ['cannot be loaded', 'ERR_REQUIRE_ESM', "require() of ES Module '@nestjs/jwt' is not supported"],
    ['fails without a code', undefined, "Must use import to load ES Module: '@nestjs/jwt'"],
  ])('a package that %s is not reported as missing', (_what, code, message) => {
    expect(isMissingPackage(failure(code, message), '@nestjs/jwt')).toBe(false);
  });
});

import { chromium, type Browser, type LaunchOptions } from 'playwright-core';
import { findChromium } from '../../../scripts/chromium.mjs';
import { patience } from '../../support/patience.js';

/** Talks to nobody but the pages under test, and runs without a screen. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts the browser of the tests. @param options `args` come behind its own. */
export async function launchChromium({ args = [], ...options }: LaunchOptions = {}): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('Chromium was not found: see scripts/chromium.mjs');
  return chromium.launch({
    executablePath,
    args: [...FLAGS, ...args],
    timeout: patience(10_000),
    ...options,
  });
}

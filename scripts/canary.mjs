// No token, ticket or payload in any output of a test run (G23). Tests put a marker into the claims of tokens and into payloads;
// what is printed or logged is searched for it, and for whatever looks like a JWT or a session ticket.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Stands in claims, parameters and payloads of the tests, and nowhere else. */
export const CANARY = 'canary-5b3d7e91';

/** Where the loggers of the tests note what they were given and should not have been. */
export const CANARY_FOLDER = fileURLToPath(new URL('../test-artifacts/canary', import.meta.url));

/** Longest line that is searched as a whole; of a longer one, pieces that overlap. */
const MAX_LINE = 1024 * 1024;
/** How long the output of a program that has ended is waited for. */
const DRAIN_MS = 5_000;
/** More than any secret has. */
const OVERLAP = 16 * 1024;

const SECRETS = [
  ['the marker of a payload or claim', new RegExp(CANARY, 'g')],
  ['a token (JWT)', /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{16,}/g],
  // Of the base64url of `["` or `[null,`: lib/core/access/ticket.ts.
  ['a session ticket', /\bW(?:yJ|251bGws)[\w-]{12,}\.[\w-]{43}(?![\w-])/g],
];

/**
 * What must not be in an output.
 *
 * @param {string} text
 * @returns {string[]} one line each, with the place of the secret and without the secret
 */
export function findSecrets(text) {
  return SECRETS.flatMap(([kind, pattern]) =>
    [...text.matchAll(pattern)].map(({ index }) => {
      const before = text.slice(Math.max(0, index - 80), index);
      const hidden = SECRETS.reduce((rest, [, other]) => rest.replace(other, '…'), before);
      return `${kind} behind ${JSON.stringify(hidden)}`;
    }),
  );
}

/** Searches a stream, whose pieces end anywhere. */
export class OutputScan {
  /** @type {string[]} */
  findings = [];
  #rest = '';

  /** @param {string} piece */
  write(piece) {
    this.#rest += piece;
    const end = this.#rest.lastIndexOf('\n') + 1;
    if (end > 0) this.#search(this.#rest.slice(0, end));
    this.#rest = this.#rest.slice(end);
    if (this.#rest.length <= MAX_LINE) return;
    this.#search(this.#rest);
    this.#rest = this.#rest.slice(-OVERLAP);
  }

  /** @returns {string[]} all that was found */
  end() {
    this.#search(this.#rest);
    this.#rest = '';
    return this.findings;
  }

  #search(text) {
    this.findings.push(...findSecrets(text));
  }
}

/**
 * Runs a program whose output is passed on and searched.
 *
 * @returns {Promise<{status: number, findings: string[]}>}
 */
export function runScanned(program, args, { write = passOn, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const scans = ['stdout', 'stderr'].map((name) => {
      const scan = new OutputScan();
      child[name].setEncoding('utf8').on('data', (piece) => {
        scan.write(piece);
        write(name, piece);
      });
      return scan;
    });
    child.on('error', reject);
    const settle = (status) =>
      resolve({ status: status ?? 1, findings: scans.flatMap((scan) => scan.end()) });
    let draining;
    child.on('close', (status) => {
      clearTimeout(draining);
      settle(status);
    });
    // What it started and left behind may keep the pipes open.
    child.on('exit', (status) => {
      draining = setTimeout(settle, DRAIN_MS, status);
    });
  });
}

function passOn(name, piece) {
  process[name].write(piece);
}

/** Notes what a logger was given and should not have been: what tests keep is not printed. */
export function noteSecrets(text, folder = CANARY_FOLDER) {
  const findings = findSecrets(text);
  if (findings.length === 0) return;
  mkdirSync(folder, { recursive: true });
  appendFileSync(join(folder, `${process.pid}.txt`), findings.map((line) => `logged: ${line}\n`).join(''));
}

/** What was noted since {@link forgetNotes}. */
export function readNotes(folder = CANARY_FOLDER) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean),
  );
}

export function forgetNotes(folder = CANARY_FOLDER) {
  rmSync(folder, { recursive: true, force: true });
}

/** What result files hold, which CI keeps. @param {readonly string[]} files those that do not exist are left out */
export function findSecretsInFiles(files) {
  return files
    .filter((file) => existsSync(file))
    .flatMap((file) => findSecrets(readFileSync(file, 'utf8')).map((line) => `${file}: ${line}`));
}

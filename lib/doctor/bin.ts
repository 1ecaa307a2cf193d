#!/usr/bin/env node
import { Logger } from '@nestjs/common';
import { runCommand } from './cli.js';

/** Columns where the output is no terminal. */
const USUAL_WIDTH = 80;

const { stdout, stderr, env } = process;
const print = stdout.write.bind(stdout);
// What the application logs or prints while it is looked at must not be in the table, nor in the JSON.
stdout.write = stderr.write.bind(stderr);
const errors: string[] = [];
const keep = (...message: unknown[]) => void errors.push(message.map(String).join(' '));
const ignore = () => undefined;
Logger.overrideLogger({ log: ignore, warn: ignore, error: keep, fatal: keep });
// An application that a function of its own makes ends the process where it fails, unless it says `abortOnError: false`.
const onExit = () =>
  void stderr.write(`The application ended the process while it was made.\n${errors.join('\n')}\n`);
process.once('exit', onExit);
const { code, output, error } = await runCommand(process.argv.slice(2), {
  cwd: process.cwd(),
  width: stdout.columns ?? USUAL_WIDTH,
  colours: stdout.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
});
process.off('exit', onExit);
stderr.write(error);
// The application may hold connections or timers. What is piped is written before the callback.
print(output, () => process.exit(code));

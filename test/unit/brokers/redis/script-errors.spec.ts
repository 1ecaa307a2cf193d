import { describe, expect, it } from '@jest/globals';
import { bootError, commandError, detailOf, startError } from '../../../../lib/brokers/redis/errors.js';

describe('errors of commands that a script ran', () => {
  const code = (message: string) => commandError(new Error(message)).code;

  it('leave the outcome unknown, as the script may have written before (P17)', () => {
    const where = `script: ${'a'.repeat(40)}, on @user_script:12.`;
    expect(code(`WRONGTYPE Operation against a key holding the wrong kind of value ${where}`)).toBe(
      'timeout',
    );
    expect(code(`ERR value is not an integer or out of range ${where}`)).toBe('timeout');
  });

  it('are refusals where the server refuses every write, and for a command by itself (P17)', () => {
    const where = `script: ${'a'.repeat(40)}, on @user_script:12.`;
    expect(code(`OOM command not allowed when used memory > 'maxmemory'. ${where}`)).toBe('unavailable');
    expect(code(`READONLY You can't write against a read only replica. ${where}`)).toBe('unavailable');
    expect(code('WRONGTYPE Operation against a key holding the wrong kind of value')).toBe('unavailable');
    expect(code('ERR unknown command')).toBe('unavailable');
  });
});

describe('what an error of Redis says', () => {
  const where = `script: ${'a'.repeat(40)}, on @user_script:12.`;

  it.each([
    [
      'OOM command not allowed.',
      'The broker refuses what is written to it (OOM)',
      'Redis refused the command: ',
    ],
    ['MOVED 12 10.0.0.1:6379', 'The broker refused it', 'Redis refused the command: '],
    [`WRONGTYPE wrong kind ${where}`, 'The broker may have carried out a part of it', 'A script failed: '],
  ])('is for clients nothing of the server, and for operators all: %s', (text, message, before) => {
    const error = commandError(new Error(text));
    expect(error.message).toBe(message);
    expect(detailOf(error)).toBe(`${before}${text}`);
    // Nobody is a client of a start.
    expect(startError(error)).toMatchObject({ code: error.code, message: `${before}${text}` });
  });

  it('names a command that this user may not call, and stays as it is where the broker has said what to do', () => {
    const text = "NOPERM User ada has no permissions to run the 'info' command";
    expect(startError(new Error(text))).toMatchObject({
      message: expect.stringContaining(`(${text}). Allow`),
    });
    const said = bootError(`cannot reach 127.0.0.1:6379 (${text})`, 'Check `username` and `password`.');
    expect(startError(said)).toBe(said);
  });

  it('is its own message where there is nothing else', () => {
    const error = commandError(new Error('Connection is closed.'));
    expect(detailOf(error)).toBe(error.message);
    expect(detailOf(new Error('one\ntwo'))).toBe('one');
    expect(detailOf('text')).toBe('text');
  });
});

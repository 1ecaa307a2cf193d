import { describe, expect, it } from '@jest/globals';
import { commandError } from '../../../../lib/brokers/redis/errors.js';

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

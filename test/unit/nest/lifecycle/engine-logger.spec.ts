import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { NestEngineLogger } from '../../../../lib/nest/lifecycle/engine-logger.js';
import { RecordingNestLogger } from '../../../e2e/nest/support/nest-app.js';

describe('the log line of an error', () => {
  let logger: RecordingNestLogger;

  beforeEach(() => {
    logger = new RecordingNestLogger();
    Logger.overrideLogger(logger);
  });
  afterEach(() => Logger.overrideLogger(true));

  function logged(error: unknown): string {
    new NestEngineLogger().error('Error 1', error);
    const [line] = logger.at('error');
    return line ?? '';
  }

  it('the log line has the stack of an Error (G25)', () => {
    expect(logged(new Error('broken'))).toContain('engine-logger.spec.ts');
  });

  it.each([
    ['broken', 'Thrown: "broken"'],
    ['', 'Thrown: ""'],
    [42, 'Thrown: 42'],
    [10n, 'Thrown: 10'],
    [null, 'Thrown: null'],
    [false, 'Thrown: false'],
    [{ password: 'hunter2' }, 'Thrown: object'],
    [Symbol('hunter2'), 'Thrown: symbol'],
  ])('the log line has the thrown value if it is not an Error: %p (G25)', (thrown, text) => {
    expect(logged(thrown)).toContain(`| ${text} |`);
  });

  it('shows neither user nor password of an address, in the text and in a stack (G23)', () => {
    new NestEngineLogger().error(
      'No keys of https://ada:hunter2@id.example.com/',
      new Error('a://b:hunter2@c'),
    );
    new NestEngineLogger().warn('No keys of https://ada:hunter2@id.example.com/');
    expect(logger.text).toContain('https://***@id.example.com/');
    expect(logger.text).toContain('a://***@c');
    expect(logger.text).not.toContain('hunter2');
  });

  it('a thrown string cannot start a new line of the log (G25)', () => {
    const line = logged('a\nb\r\u001b[2Jc\u0085d\u009be\u2028f\u2029g\u202eh"i');
    expect(line).toContain('"a\\nb\\r\\u001b[2Jc\\u0085d\\u009be\\u2028f\\u2029g\\u202eh\\"i"');
    expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  });

  it('the log line has the first 200 characters of a long thrown string, and says so (G25)', () => {
    expect(logged('x'.repeat(200))).toContain(`| Thrown: "${'x'.repeat(200)}" |`);
    expect(logger.lines.splice(0)).toHaveLength(1);
    expect(logged('x'.repeat(100_000))).toContain(`| Thrown: "${'x'.repeat(200)}"… (100000 characters) |`);
  });
});

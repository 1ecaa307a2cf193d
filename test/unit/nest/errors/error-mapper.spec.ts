import { describe, expect, it } from '@jest/globals';
import {
  BadRequestException,
  ConflictException,
  ForbiddenException,
  GoneException,
  HttpException,
  InternalServerErrorException,
  NotFoundException,
  PayloadTooLargeException,
  RequestTimeoutException,
  ServiceUnavailableException,
  UnauthorizedException,
  UnprocessableEntityException,
} from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import { IsInt, IsString, validate, ValidateNested } from 'class-validator';
import { ErrorMapper } from '../../../../lib/nest/errors/error-mapper.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

const ORIGIN = { source: 'Rooms.rename', connectionId: 'c7' };

function mapped(error: unknown) {
  const logger = new RecordingLogger();
  const result = new ErrorMapper(logger, new SeededEntropy()).toRealtimeError(error, ORIGIN);
  return { result, body: result.toBody(), records: logger.records };
}

class Author {
  @IsString()
  name!: unknown;
}
class Message {
  @IsInt()
  size!: unknown;
  @ValidateNested()
  author = new Author();
}

describe('the error mapper', () => {
  it('keeps a RealtimeError unchanged', () => {
    const error = new RealtimeError('muted');
    expect(mapped(error).result).toBe(error);
  });

  it.each<[HttpException, string]>([
    [new BadRequestException('no'), 'bad_request'],
    [new UnauthorizedException('no'), 'unauthorized'],
    [new ForbiddenException('no'), 'forbidden'],
    [new NotFoundException('no'), 'unknown_channel'],
    [new GoneException('no'), 'unknown_channel'],
    [new RequestTimeoutException('no'), 'timeout'],
    [new ConflictException('no'), 'conflict'],
    [new PayloadTooLargeException('no'), 'message_too_large'],
    [new UnprocessableEntityException('no'), 'validation_failed'],
    [new HttpException('no', 429), 'rate_limited'],
    [new HttpException('no', 418), 'bad_request'],
    [new ServiceUnavailableException('no'), 'unavailable'],
  ])('maps %p by its status', (error, code) => {
    const { body, records } = mapped(error);
    expect(body).toMatchObject({ code, message: 'no' });
    expect(records).toEqual([]);
  });

  it.each<[string, unknown]>([
    ['an Error', new Error('password is hunter2')],
    ['a 500', new InternalServerErrorException('db at 10.0.0.1')],
    ['a thrown string', 'oops'],
    ['nothing', undefined],
  ])('hides %s behind an id, and logs it once with the connection (G25)', (_what, error) => {
    const { body, records } = mapped(error);
    expect(body).toMatchObject({ code: 'internal', message: 'Internal error id1-1' });
    expect(JSON.stringify(body)).not.toMatch(/hunter2|10\.0\.0\.1|oops/);
    expect(records).toEqual([
      { level: 'error', message: 'Error id1-1 in Rooms.rename on connection c7', error },
    ]);
  });

  it.each<[string, unknown, Record<string, unknown>]>([
    ['a string', new WsException('room is full'), { code: 'bad_request', message: 'room is full' }],
    ['a guard’s refusal', new WsException('Forbidden resource'), { code: 'forbidden' }],
    ['a code', new WsException({ code: 'muted', message: 'quiet' }), { code: 'muted', message: 'quiet' }],
    ['a status', new WsException({ status: 409, message: 'twice' }), { code: 'conflict', message: 'twice' }],
    ['an unknown code', new WsException({ code: 'x', message: 'm' }), { code: 'bad_request', message: 'm' }],
  ])('maps a WsException with %s', (_what, error, expected) => {
    expect(mapped(error).body).toMatchObject(expected);
  });

  describe('errors of validation', () => {
    it('the messages of ValidationPipe are kept, with the paths that they begin with', () => {
      const error = new BadRequestException([
        'text must be a string',
        'author.name should not be empty',
        'property extra should not exist',
        'Choose something nicer',
      ]);
      expect(mapped(error).body).toMatchObject({
        code: 'validation_failed',
        details: [
          { path: 'text', message: 'text must be a string' },
          { path: 'author.name', message: 'author.name should not be empty' },
          { path: 'extra', message: 'property extra should not exist' },
          { path: '', message: 'Choose something nicer' },
        ],
      });
    });

    it('grouped messages, and issues with paths, are kept', () => {
      const details = [{ path: 'a.b', message: 'bad' }];
      expect(mapped(new BadRequestException({ message: { 'a.b': ['bad'] } })).body.details).toEqual(details);
      const issues = { message: 'Validation failed', errors: [{ path: ['a', 'b'], message: 'bad' }] };
      expect(mapped(new BadRequestException(issues)).body.details).toEqual(details);
      const standard = { issues: [{ path: [{ key: 'a' }, 'b'], message: 'bad' }] };
      expect(mapped(new BadRequestException(standard)).body.details).toEqual(details);
    });

    it('thrown class-validator errors are kept, without the values in them (G23)', async () => {
      const message = Object.assign(new Message(), {
        size: 'hunter2',
        author: Object.assign(new Author(), { name: 5 }),
      });
      const errors = await validate(message);
      const expected = [
        { path: 'size', message: 'size must be an integer number' },
        { path: 'author.name', message: 'name must be a string' },
      ];
      for (const error of [errors, new BadRequestException(errors), new WsException(errors)]) {
        const { body, records } = mapped(error);
        expect(body).toMatchObject({ code: 'validation_failed', details: expected });
        expect(JSON.stringify(body)).not.toContain('hunter2');
        expect(records).toEqual([]);
      }
    });

    it('the details for a hostile payload are bounded', () => {
      const many = Array.from({ length: 10_000 }, (_, index) => `items.${index} must be a string`);
      expect(mapped(new BadRequestException(many)).body.details).toHaveLength(50);
      let deep: Record<string, unknown> = { property: 'x', constraints: { c: 'x must be' }, children: [] };
      for (let depth = 0; depth < 10_000; depth++) deep = { property: 'x', children: [deep] };
      expect(mapped([deep]).body.code).toBe('validation_failed');
    });
  });
});

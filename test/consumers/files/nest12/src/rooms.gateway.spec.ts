import { ForbiddenException } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { RoomsGateway } from './rooms.gateway.js';

describe('RoomsGateway', () => {
  let rooms: RoomsGateway;

  beforeEach(async () => {
    const testing = await Test.createTestingModule({ providers: [RoomsGateway] }).compile();
    rooms = testing.get(RoomsGateway);
  });

  it('keeps the board to Ada', () => {
    expect(rooms.canRead({ id: 'ada' }, 'board')).toBe(true);
    expect(rooms.canRead({ id: 'bob' }, 'board')).toBe(false);
  });

  it('names the author', () => {
    expect(rooms.onMessage({ text: 'Hello' }, { id: 'ada' })).toEqual({ text: 'Hello', author: 'ada' });
  });

  it('refuses silence', () => {
    expect(() => rooms.onMessage({ text: '' }, { id: 'ada' })).toThrow(ForbiddenException);
  });
});

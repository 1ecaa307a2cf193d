import { ForbiddenException } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { RoomsGateway } from './rooms.gateway.js';

describe('RoomsGateway', () => {
  let rooms: RoomsGateway;

  beforeEach(async () => {
    const testing = await Test.createTestingModule({ providers: [RoomsGateway] }).compile();
    rooms = testing.get(RoomsGateway);
  });

  it('lets only Ada read the board', () => {
    expect(rooms.canRead({ id: 'ada' }, 'board')).toBe(true);
    expect(rooms.canRead({ id: 'bob' }, 'board')).toBe(false);
  });

  it('adds the author to a message', () => {
    expect(rooms.onMessage({ text: 'Hello' }, { id: 'ada' })).toEqual({ text: 'Hello', author: 'ada' });
  });

  it('refuses an empty message', () => {
    expect(() => rooms.onMessage({ text: '' }, { id: 'ada' })).toThrow(ForbiddenException);
  });
});

import { describe, expect, it } from '@jest/globals';
import { RelayBounds } from '../../../../lib/transports/http-session/relay-bounds.js';

const MIB = 1024 * 1024;

describe('the bounds of what is under way to other nodes', () => {
  it('stops an address at 1,024 requests, and no other address', () => {
    const bounds = new RelayBounds();
    for (let count = 0; count < 1_024; count += 1) expect(bounds.enter('a', 0)).toBeUndefined();
    expect(bounds.enter('a', 0)).toBe('address');
    expect(bounds.enter('b', 0)).toBeUndefined();
    bounds.leave('a', 0);
    expect(bounds.enter('a', 0)).toBeUndefined();
    expect(bounds.enter('a', 0)).toBe('address');
  });

  it('stops an address at 4 MiB, and no other address', () => {
    const bounds = new RelayBounds();
    for (let count = 0; count < 4; count += 1) expect(bounds.enter('a', MIB)).toBeUndefined();
    expect(bounds.enter('a', 1)).toBe('address');
    expect(bounds.enter('a', 0)).toBeUndefined();
    expect(bounds.enter('b', 1)).toBeUndefined();
    bounds.leave('a', MIB);
    expect(bounds.enter('a', MIB)).toBeUndefined();
  });

  it('stops all of them at 32 MiB and at 16,384 requests', () => {
    const bytes = new RelayBounds();
    for (let count = 0; count < 32; count += 1) expect(bytes.enter(`a${count}`, MIB)).toBeUndefined();
    expect(bytes.enter('b', 1)).toBe('node');
    bytes.leave('a0', MIB);
    expect(bytes.enter('b', MIB)).toBeUndefined();
    const count = new RelayBounds();
    for (let number = 0; number < 16_384; number += 1)
      expect(count.enter(`a${number % 100}`, 0)).toBeUndefined();
    expect(count.enter('b', 0)).toBe('node');
    count.leave('a5', 0);
    expect(count.enter('b', 0)).toBeUndefined();
  });

  it('stops new ones while 131,072 wait at other nodes', () => {
    const bounds = new RelayBounds();
    for (let number = 0; number < 131_072; number += 1) bounds.hold();
    expect(bounds.enter('a', 0)).toBe('node');
    bounds.release();
    expect(bounds.enter('a', 0)).toBeUndefined();
  });
});

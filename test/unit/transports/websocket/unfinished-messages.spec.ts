import { describe, expect, it } from '@jest/globals';
import { UnfinishedMessages } from '../../../../lib/transports/websocket/unfinished-messages.js';

const KB = 1_024;

function senders(messages: UnfinishedMessages, ...sizes: number[]) {
  const shed: number[] = [];
  const all = sizes.map((bytes, index) => {
    const sender = {
      shed: () => {
        shed.push(index);
        // As a connection does when it closes.
        messages.note(sender, 0);
      },
    };
    messages.note(sender, bytes);
    return sender;
  });
  return { all, shed };
}

describe('messages that have not ended', () => {
  it('may fill the bound exactly', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { shed } = senders(messages, 60 * KB, 40 * KB);
    expect(shed).toEqual([]);
    expect(messages.bytes).toBe(100 * KB);
  });

  it('above the bound the largest is shed', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { shed } = senders(messages, 20 * KB, 50 * KB, 20 * KB, 20 * KB);
    expect(shed).toEqual([1]);
    expect(messages.bytes).toBe(60 * KB);
  });

  it('of equals the oldest is shed', () => {
    const messages = new UnfinishedMessages(100 * KB);
    expect(senders(messages, 40 * KB, 40 * KB, 40 * KB).shed).toEqual([0]);
  });

  it('as many are shed as it takes', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { all, shed } = senders(messages, 50 * KB, 45 * KB, 5 * KB);
    messages.note(all[2] as never, 90 * KB);
    expect(shed).toEqual([2]);
    messages.note(all[0] as never, 60 * KB);
    expect(shed).toEqual([2, 0]);
    expect(messages.bytes).toBe(45 * KB);
  });

  it('a single one above the bound is shed', () => {
    const messages = new UnfinishedMessages(10 * KB);
    expect(senders(messages, 11 * KB).shed).toEqual([0]);
    expect(messages.bytes).toBe(0);
  });

  it('what ends is not counted any more, a second time neither', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { all, shed } = senders(messages, 90 * KB);
    for (let round = 0; round < 3; round++) {
      messages.note(all[0] as never, 0);
      expect(messages.bytes).toBe(0);
      messages.note(all[0] as never, 90 * KB);
    }
    expect(shed).toEqual([]);
    expect(messages.bytes).toBe(90 * KB);
  });

  it('a message counts from 4 KiB', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { all } = senders(messages, 4 * KB - 1, 4 * KB);
    expect(messages.bytes).toBe(4 * KB);
    messages.note(all[1] as never, 4 * KB - 1);
    expect(messages.bytes).toBe(0);
  });

  it('one that began again is the youngest', () => {
    const messages = new UnfinishedMessages(100 * KB);
    const { all, shed } = senders(messages, 40 * KB, 40 * KB);
    messages.note(all[0] as never, 0);
    messages.note(all[0] as never, 40 * KB);
    senders(messages, 40 * KB);
    expect(shed).toEqual([1]);
  });
});

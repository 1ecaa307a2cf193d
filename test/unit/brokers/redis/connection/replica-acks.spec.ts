import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { ReplicaAcks } from '../../../../../lib/brokers/redis/connection/replica-acks.js';

/** Questions that were asked, to be answered by the test. */
class Questions {
  readonly open: {
    readonly connection: EventEmitter;
    readonly answer: (replicas: number | Error) => void;
  }[] = [];
  asked = 0;

  readonly ask = (connection: EventEmitter): Promise<number> =>
    new Promise((resolve, reject) => {
      this.asked += 1;
      this.open.push({
        connection,
        answer: (replicas) => (replicas instanceof Error ? reject(replicas) : resolve(replicas)),
      });
    });

  answer(replicas: number | Error): void {
    this.open.shift()?.answer(replicas);
  }
}

const turn = () => new Promise(setImmediate);

describe('acknowledgements of replicas (G1)', () => {
  let questions: Questions;
  let acks: ReplicaAcks<EventEmitter>;
  let connection: EventEmitter;

  beforeEach(() => {
    questions = new Questions();
    acks = new ReplicaAcks(questions.ask);
    connection = new EventEmitter();
  });

  it('replicas are asked once for all writes of a turn, after all of them (G1)', async () => {
    const all = [acks.wait(connection), acks.wait(connection), acks.wait(connection)];
    expect(questions.asked).toBe(0);
    await turn();
    expect(questions.asked).toBe(1);
    questions.answer(2);
    expect(await Promise.all(all)).toEqual([2, 2, 2]);
    expect(questions.asked).toBe(1);
  });

  it('writes that come while a request is pending share the next request, and not the pending one (G1)', async () => {
    const first = acks.wait(connection);
    await turn();
    const later = [acks.wait(connection), acks.wait(connection)];
    await turn();
    expect(questions.asked).toBe(1);
    questions.answer(1);
    expect(await first).toBe(1);
    await turn();
    expect(questions.asked).toBe(2);
    questions.answer(0);
    expect(await Promise.all(later)).toEqual([0, 0]);
  });

  it('each connection is asked separately (G1)', async () => {
    const other = new EventEmitter();
    const answers = [acks.wait(connection), acks.wait(other)];
    await turn();
    expect(questions.open.map((question) => question.connection)).toEqual([connection, other]);
    questions.answer(1);
    questions.answer(3);
    expect(await Promise.all(answers)).toEqual([1, 3]);
  });

  it('a connection that was closed since proves nothing, whatever the new one answers (G1)', async () => {
    const first = acks.wait(connection);
    await turn();
    const before = acks.wait(connection);
    connection.emit('close');
    const behind = acks.wait(connection);
    questions.answer(new Error('The connection was closed'));
    await turn();
    questions.answer(5);
    expect(await Promise.all([first, before, behind])).toEqual([0, 0, 5]);
  });

  it('a request that fails proves nothing, and the replicas are asked again for the next write (G1)', async () => {
    const first = acks.wait(connection);
    await turn();
    questions.answer(new Error('No answer in time'));
    expect(await first).toBe(0);
    const second = acks.wait(connection);
    await turn();
    questions.answer(1);
    expect(await second).toBe(1);
  });
});

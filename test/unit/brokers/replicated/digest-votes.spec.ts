import { describe, expect, it } from '@jest/globals';
import { DigestBoard } from '../../../../lib/brokers/replicated/digest-board.js';
import type { Comparison, DigestReport } from '../../../../lib/brokers/replicated/digest-trail.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { patience } from '../../../support/patience.js';
import fc from '../../../support/property.js';

const PARTITIONS = 3;
/** Beats for which the lease of a node that was killed lives. */
const LEASE_BEATS = 15;

/** What a release answers in each partition; `undefined` where a node has not come to a place yet. */
type Answers = readonly (string | undefined)[];

/** A node of which only the board is real. */
class Voter {
  readonly board: DigestBoard;
  offset = 0;
  /** It has gone down, by its own decision. */
  isDown = false;
  killedAt: number | undefined;
  /** Up to which beat nobody hears it. */
  muteUntil = 0;
  /** Up to which beat it hears a node not. */
  readonly deafUntil = new Map<string, number>();

  constructor(
    readonly lease: string,
    readonly answers: Answers,
    clock: ManualClock,
  ) {
    this.board = new DigestBoard(
      clock,
      1_000,
      (index) => ({
        incarnation: 'life',
        position: Infinity,
        compare: ({ outcome }): Comparison => {
          if (answers[index] === undefined) return 'unknown';
          return outcome === answers[index] ? 'same' : 'other_outcome';
        },
      }),
      () => undefined,
      () => {
        throw new Error('A few nodes have room');
      },
    );
  }

  get reports(): readonly DigestReport[] {
    if (this.isDown) return [];
    this.offset += 64;
    return this.answers.flatMap((outcome, partition) => {
      if (outcome === undefined) return [];
      const alike = this.board.alike(partition);
      return { partition, incarnation: 'life', offset: this.offset, input: 'in', outcome, alike };
    });
  }

  differsFrom(other: Voter): boolean {
    return this.answers.some(
      (own, at) => own !== undefined && other.answers[at] !== undefined && own !== other.answers[at],
    );
  }
}

/** Nodes of one log, the oldest first. Each decision is checked when it is made. */
class Voters {
  readonly clock = new ManualClock();
  nodes: Voter[] = [];
  beats = 0;
  private starts = 0;

  start(answers: Answers, muteBeats = 0): Voter {
    const node = new Voter(`n${(this.starts += 1)}`, answers, this.clock);
    node.muteUntil = this.beats + muteBeats;
    this.nodes.push(node);
    return node;
  }

  /** It leaves: its lease ends at once. */
  end(node: Voter | undefined): void {
    this.nodes = this.nodes.filter((other) => other !== node);
  }

  kill(node: Voter | undefined): void {
    if (node !== undefined) node.killedAt ??= this.beats;
  }

  /** All give a sign of life, one after the other within a second. */
  beat(times = 1): void {
    for (let time = 0; time < times; time += 1) {
      this.beats += 1;
      this.nodes = this.nodes.filter(({ killedAt = Infinity }) => this.beats - killedAt < LEASE_BEATS);
      const gap = 1_000 / (this.nodes.length + 1);
      for (const node of this.nodes) {
        this.clock.advance(gap);
        if (node.killedAt === undefined) this.beatOf(node);
      }
      this.clock.advance(gap);
    }
  }

  get serving(): readonly Voter[] {
    return this.nodes.filter(({ isDown, killedAt }) => !isDown && killedAt === undefined);
  }

  get leases(): readonly string[] {
    return this.serving.map(({ lease }) => lease);
  }

  private beatOf(node: Voter): void {
    const { reports } = node;
    if (node.muteUntil < this.beats)
      for (const other of this.nodes)
        if (other !== node && (other.deafUntil.get(node.lease) ?? 0) < this.beats)
          other.board.hear(node.lease, reports);
    if (node.isDown) return;
    const leases = this.nodes.map(({ lease }) => lease);
    const found = node.board.judge(leases, node.lease);
    if (found === undefined) return;
    node.isDown = true;
    // Of one that was killed just now nobody can know it.
    const left = this.nodes.filter(
      (other) => !other.isDown && this.beats - (other.killedAt ?? Infinity) <= 3,
    );
    const up = [...this.serving, ...left];
    expect(up.map(({ lease }) => lease)).not.toEqual([]);
    const others = this.nodes.filter(({ lease }) => found.others.includes(lease));
    expect(others.map((other) => other.differsFrom(node))).toEqual(found.others.map(() => true));
  }
}

const all = (answer: string): Answers => Array.from({ length: PARTITIONS }, () => answer);

describe('nodes that each decide who has to leave', () => {
  it('a release that is rolled out although its first node went down does not end the service', () => {
    const world = new Voters();
    const [, second, third] = ['old', 'old', 'old'].map((answer) => world.start(all(answer)));
    world.beat(3);
    world.end(third);
    world.start(all('new'));
    world.beat(10);
    expect(world.leases).toEqual(['n1', 'n2']);
    world.end(second);
    world.start(all('new'));
    world.beat(20);
    expect(world.leases).toEqual(['n1']);
  });

  it('nodes that are down outvote nobody when those that serve are started again', () => {
    const world = new Voters();
    const [, , , fourth, fifth] = ['ok', 'bad', 'bad', 'ok', 'ok'].map((answer) => world.start(all(answer)));
    world.beat(12);
    expect(world.leases).toEqual(['n1', 'n4', 'n5']);
    for (const node of [fourth, fifth]) {
      world.end(node);
      world.start(all('ok'), 20);
    }
    world.beat(40);
    expect(world.leases).toEqual(['n1', 'n6', 'n7']);
  });

  it.each([
    [['1', '2', '3'], ['n1']],
    [
      ['1', '1', '2', '3', '4'],
      ['n1', 'n2'],
    ],
    [
      ['1', '2', '3', '4', '4'],
      ['n4', 'n5'],
    ],
    [
      ['1', '2', '2', '1'],
      ['n1', 'n4'],
    ],
  ])('of the answers %j the most stay, of as many those with the oldest node', (answers, stay) => {
    const world = new Voters();
    for (const answer of answers) world.start(all(answer));
    world.beat(30);
    expect(world.leases).toEqual(stay);
  });

  it('where each is damaged in another partition one of them stays', () => {
    const world = new Voters();
    for (let at = 0; at < 3; at += 1)
      world.start(Array.from({ length: PARTITIONS }, (_, index) => (index === at ? 'bad' : 'ok')));
    world.beat(60);
    expect(world.leases).toHaveLength(1);
  });

  it(
    'never all leave, none leaves for its like, and those that stay agree, whatever is answered, lost, ended and started',
    () => {
      const answers = fc.oneof(
        fc.constantFrom('a', 'b', 'c').map(all),
        fc.array(fc.constantFrom('a', 'a', 'b', 'c', undefined), {
          minLength: PARTITIONS,
          maxLength: PARTITIONS,
        }),
      );
      const step = fc.record({
        what: fc.constantFrom('start', 'start', 'restart', 'end', 'kill', 'mute', 'deaf', 'deaf', 'beat'),
        who: fc.nat(20),
        other: fc.nat(20),
        beats: fc.integer({ min: 1, max: 12 }),
        answers,
      });
      fc.assert(
        fc.property(
          fc.array(answers, { minLength: 1, maxLength: 6 }),
          fc.array(step, { maxLength: 40 }),
          (first, steps) => {
            const world = new Voters();
            for (const one of first) world.start(one);
            for (const { what, who, other, beats, answers: others } of steps) {
              const { nodes } = world;
              const node = nodes[who % Math.max(1, nodes.length)];
              const second = nodes[other % Math.max(1, nodes.length)];
              if (what === 'start' && nodes.length < 8) world.start(others, beats % 3);
              else if (what === 'end') world.end(node);
              else if (what === 'kill') world.kill(node);
              else if (what === 'restart' && node !== undefined) {
                world.end(node);
                world.start(node.answers, beats);
              } else if (what === 'mute' && node !== undefined) node.muteUntil = world.beats + beats;
              else if (what === 'deaf' && node !== undefined && second !== undefined)
                node.deafUntil.set(second.lease, world.beats + 2 * beats);
              world.beat(what === 'beat' ? beats : beats % 4);
            }
            // Of one that was killed just now nobody can know it: some may still leave for it.
            world.beat(4);
            const before = world.serving.length;
            world.beat(120);
            const { serving } = world;
            expect(serving.length > 0).toBe(before > 0);
            for (const one of serving) for (const two of serving) expect(one.differsFrom(two)).toBe(false);
          },
        ),
        { numRuns: 500 },
      );
    },
    patience(60_000),
  );
});

// Three server processes over one Redis, clients spread over them, a publisher per node, and a fault under load.
// 200 clients; FAULT_CLIENTS for another number.
import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { RECOVERY_MS, runSingle, type ScenarioResult } from '../support/fault/scenario.js';
import { flushAll } from '../support/fault/log.js';
import { elapse, patience } from '../support/patience.js';

const TIMEOUT_MS = patience(30_000);

describe('many nodes over one Redis', () => {
  let killed: ScenarioResult | undefined;

  it(
    'clients of a killed node resume at another node where they stopped (G3)',
    async () => {
      killed = await runSingle('kill -9 a node', async (_, { nodes }) => {
        await nodes[0]?.kill();
        return performance.now();
      });
      expect(killed.report).toMatchObject({ losses: 0, gaps: 0, truncations: 0, unknown: 0, refused: 0 });
      expect(killed.disconnects).toBeGreaterThan(0);
      expect(killed.rawRecoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
    },
    TIMEOUT_MS,
  );

  it('a ticket of a killed node does not delay the resume (P28)', () => {
    expect(killed?.recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
  });

  it(
    'a restart of Redis with its data disconnects nobody and loses nothing (G6)',
    async () => {
      const result = await runSingle('restart with data', async (server) => {
        await server.kill();
        await elapse(1_000);
        await server.launch();
        return performance.now();
      });
      expect(result.report).toMatchObject({ losses: 0, gaps: 0, truncations: 0, unknown: 0, refused: 0 });
      expect(result.disconnects).toBe(0);
      expect(result.recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
    },
    TIMEOUT_MS,
  );

  it(
    'a restart of Redis without its data is announced to every client (G6)',
    async () => {
      const result = await runSingle(
        'restart without data',
        async (server) => {
          await server.kill();
          await elapse(1_000);
          await server.launch();
          return performance.now();
        },
        { check: { mayLose: true }, process: { durable: false } },
      );
      expect(result.report.losses).toBeGreaterThan(0);
      expect(result.disconnects).toBe(0);
      expect(result.recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
    },
    TIMEOUT_MS,
  );

  it(
    'a restart of Redis with an older copy of its data announces what is missing (G6)',
    async () => {
      const result = await runSingle(
        'restored older',
        async (server) => {
          const [data, copy] = [join(server.folder, 'appendonlydir'), join(server.folder, 'copy')];
          cpSync(data, copy, { recursive: true });
          await elapse(500);
          await server.kill();
          rmSync(data, { recursive: true });
          renameSync(copy, data);
          await server.launch();
          return performance.now();
        },
        { check: { mayLose: true } },
      );
      expect(result.report.lostByBroker).toBeGreaterThan(0);
      expect(result.report.losses).toBeGreaterThan(0);
      expect(result.disconnects).toBe(0);
      expect(result.recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
    },
    TIMEOUT_MS,
  );

  it(
    'FLUSHALL is announced to every client (G6)',
    async () => {
      const result = await runSingle(
        'FLUSHALL',
        async (server) => {
          await flushAll(server);
          return performance.now();
        },
        { check: { mayLose: true } },
      );
      expect(result.report.losses).toBeGreaterThan(0);
      expect(result.disconnects).toBe(0);
      expect(result.recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
    },
    TIMEOUT_MS,
  );

  it(
    'a Redis that is paused for 10 s disconnects nobody and loses nothing (G21)',
    async () => {
      const result = await runSingle('SIGSTOP 10 s', async (server) => {
        server.pause();
        await elapse(10_000);
        server.resume();
        return performance.now();
      });
      expect(result.report).toMatchObject({ losses: 0, gaps: 0, truncations: 0, unknown: 0, refused: 0 });
      expect(result.disconnects).toBe(0);
      expect(result.recoveryMs).toBeLessThanOrEqual(RECOVERY_MS);
    },
    TIMEOUT_MS,
  );
});

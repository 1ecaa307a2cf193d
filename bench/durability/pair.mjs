import { startRedis } from '../support/redis-server.mjs';
import { openLink } from './link.mjs';

/**
 * A master and a replica that follows it.
 *
 * @param {number} [linkMs] Delay of the network between them. Default: none, they are processes of one machine.
 */
export async function startPair(linkMs) {
  const master = await startRedis({ core: 0, args: ['--repl-diskless-sync-delay', '0'] });
  const link = linkMs === undefined ? undefined : await openLink(master.port, linkMs);
  const port = link?.port ?? master.port;
  const replica = await startRedis({ core: 1, args: ['--replicaof', `127.0.0.1 ${port}`] });
  const follows = async () => {
    const [ofReplica, ofMaster] = await Promise.all([
      replica.admin.info('replication'),
      master.admin.info('replication'),
    ]);
    return /master_link_status:up/.test(ofReplica) && /slave0:.*state=online/.test(ofMaster);
  };
  for (let attempt = 0; !(await follows()); attempt++) {
    if (attempt === 500) throw new Error('The replica does not follow its master');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // A replica that has just come may not answer its master yet.
  await master.admin.set('bench', '1');
  await master.admin.wait(1, 10_000);
  return {
    master,
    replica,
    /** Ends the master at once; with the network to its replica, what was on its way is lost with it. */
    async die() {
      link?.cut();
      await master.kill();
    },
    async stop() {
      link?.cut();
      await Promise.all([master.stop(), replica.stop()]);
    },
  };
}

// A balancer of TCP connections, as a service of an orchestrator is: the node with the fewest connections gets the next one. What is
// open stays when a node is taken from the list.
import { connect, createServer } from 'node:net';
import { answerWith } from '../floods/child.mjs';

/** Connections by port, of the nodes that get new ones. */
const nodes = new Map();
/** Connections by port, of all nodes that ever were. */
const open = new Map();
let accepted = [];
let refused = 0;

function choose(tried) {
  let chosen;
  for (const port of nodes.keys()) {
    if (tried.has(port)) continue;
    if (chosen === undefined || open.get(port) < open.get(chosen)) chosen = port;
  }
  return chosen;
}

function forward(client, tried = new Set()) {
  const port = choose(tried);
  if (port === undefined) {
    refused++;
    client.destroy();
    return;
  }
  open.set(port, open.get(port) + 1);
  const node = connect({ port, host: '127.0.0.1', noDelay: true });
  let connected = false;
  node.once('connect', () => {
    connected = true;
    client.pipe(node);
    node.pipe(client);
  });
  // A node that takes no connection costs its client nothing while there is another.
  node.on('error', () => (connected ? client.destroy() : undefined));
  node.once('close', () => {
    open.set(port, open.get(port) - 1);
    if (connected) client.destroySoon();
    else if (!client.destroyed) forward(client, tried.add(port));
  });
  client.once('close', () => node.destroySoon());
}

const server = createServer({ noDelay: true }, (client) => {
  accepted.push(performance.now());
  client.on('error', () => undefined);
  forward(client);
});
server.listen(0, '127.0.0.1', () => answerWith(commands, { port: server.address().port }));

const commands = {
  add({ node }) {
    nodes.set(node, true);
    if (!open.has(node)) open.set(node, 0);
  },
  remove({ node }) {
    nodes.delete(node);
  },
  counts: () => ({ counts: Object.fromEntries(open) }),
  /** Moments at which connections came, in milliseconds, and how many found no node, since it was last asked. */
  accepted() {
    const answer = { accepted, refused };
    accepted = [];
    refused = 0;
    return answer;
  },
};

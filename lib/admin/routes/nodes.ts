import { MAX_NODES_PAGE } from '../../core/engine/cluster/cluster-nodes.js';
import { MAX_READ_NODES } from '../../core/engine/cluster/cluster-readings.js';
import { route, type AdminRoute } from '../route.js';
import { described, flag, list, object, record, text } from '../schema.js';
import { count, missing, more, node, page } from './answers.js';

export const NODE_ROUTES: readonly AdminRoute[] = [
  route({
    id: 'listNodes',
    method: 'GET',
    path: 'nodes',
    authority: 'read',
    summary: 'Lists the live nodes, with what each serves',
    input: object({}, page(MAX_NODES_PAGE)),
    answer: object({ nodes: list(node, MAX_NODES_PAGE), missing }, { more }),
    example: {},
    run: ({ engine }, { cursor, limit = 100 }) => engine.nodes.list({ cursor, limit }),
  }),
  route({
    id: 'readNodes',
    method: 'GET',
    path: 'nodes/readings',
    authority: 'read',
    summary: 'What each node counts and measures, by name',
    input: object(
      {},
      { own: described(flag, 'only those of the node that answers: what can be had without the broker') },
    ),
    answer: object(
      { nodes: list(object({ node: text(512), readings: record }, {}), MAX_READ_NODES), missing },
      {},
    ),
    example: {},
    run: async ({ engine }, { own }) => (own === true ? engine.readings.local() : engine.readings.list()),
  }),
  route({
    id: 'getLimits',
    method: 'GET',
    path: 'limits',
    authority: 'read',
    summary:
      'The limits of the node that answers, how much of it is used, and how often it refused since it started',
    input: object({}, {}),
    answer: object(
      {
        node: text(512),
        limits: record,
        outbox: record,
        abuse: record,
        sessions: count,
        channels: count,
        refusals: described(record, 'how often, by kind'),
      },
      {},
    ),
    example: {},
    run: async ({ engine, settings, refusals }) => {
      const { limits, outbox, abuse, nodeId } = settings;
      const { sessions, channels } = engine.status;
      return Promise.resolve({
        node: nodeId,
        limits,
        outbox,
        abuse,
        sessions,
        channels,
        refusals: refusals.read(),
      });
    },
  }),
];

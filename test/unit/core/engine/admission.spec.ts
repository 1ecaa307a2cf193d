import { afterEach, describe, expect, it } from '@jest/globals';
import { channel, EngineHarness } from '../../../support/engine/harness.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

describe('what transports are told of the node', () => {
  it('locates the connections that it holds, as long as they are open', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], { settings: { nodeId: 'node-7' } });
    const { host } = harness.engine;
    expect(host.nodeId).toBe('node-7');
    const connection = await harness.greet('user:ada');
    const [{ id } = { id: '' }] = harness.engine.sessionsOf('ada');
    expect(host.locate(id)).toBe('node-7');
    connection.drop();
    expect(host.locate(id)).toBeUndefined();
    expect(host.locate('nobody')).toBeUndefined();
  });
});

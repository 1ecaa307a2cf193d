import type { BrokerBus } from '../../core/ports/broker.js';
import type { ControlMessage, ControlReceipt } from '../../core/ports/control.js';
import type { RedisControl } from './control/control.js';
import type { NodeMessages } from './messages/node-messages.js';
import type { NodeHeartbeat } from './node-heartbeat.js';

/** Control records to all nodes, messages to one of them, and which there are. */
export class RedisBus implements BrokerBus {
  constructor(
    private readonly records: RedisControl,
    private readonly messages: NodeMessages,
    private readonly heartbeat: NodeHeartbeat,
  ) {}

  control(message: ControlMessage): Promise<ControlReceipt> {
    return this.records.control(message);
  }

  send(node: string, topic: string, bytes: Uint8Array): Promise<void> {
    return this.messages.send(node, topic, bytes);
  }

  nodes(): Promise<readonly string[]> {
    return this.heartbeat.nodes();
  }
}

/** What a transport may ask of the other nodes: which there are, and to carry bytes to one of them. */
export interface NodeLink {
  /** Name of this node. */
  readonly nodeId: string;
  /** Whether all nodes that it reaches are in this process, as those of the memory broker. */
  readonly inProcess: boolean;
  /**
   * Ids of the nodes that live, this one included. The answer may be a second old; with `fresh` it was asked for after the call, as
   * a node that has just started may be missing.
   *
   * @throws RealtimeError `unavailable` or `timeout` where that cannot be known now.
   */
  alive(fresh?: boolean): Promise<readonly string[]>;
  /**
   * Sends bytes to what listens to the topic on a node. They are lost without an error when the node is gone; those to one node
   * arrive in the order of the calls. They may not change before it resolves.
   *
   * @throws RealtimeError `message_too_large` above 8 MiB; `unavailable` or `timeout` where they could not be sent.
   */
  send(node: string, topic: string, bytes: Uint8Array): Promise<void>;
  /**
   * Called with what other nodes send under a topic: other versions of the library, and whoever can write to the broker. The bytes
   * are the listener's own.
   *
   * @returns ends that; idempotent.
   */
  listen(topic: string, listener: (fromNode: string, bytes: Uint8Array) => void): () => void;
}

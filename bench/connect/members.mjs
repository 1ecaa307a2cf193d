/** Who is in which channel, as an application without rooms keeps it. */
export class Members {
  #channels = new Map();

  join(channel, client) {
    let members = this.#channels.get(channel);
    if (members === undefined) this.#channels.set(channel, (members = new Set()));
    members.add(client);
    client.once('close', () => members.delete(client));
  }

  count(channel) {
    return this.#channels.get(channel)?.size ?? 0;
  }
}

/**
 * Makes a class of WebSockets as a page has it, without a network: what is sent goes to its `answer`, and what comes is handed over
 * by `receive`, one event per frame. So a client's own work is all that costs anything.
 */
export const fakeSocket = () =>
  class FakeSocket {
    static CONNECTING = 0;
    static OPEN = 1;
    static CLOSING = 2;
    static CLOSED = 3;
    /** The one that was opened last. */
    static last;
    /** What a server would do with a frame: `(frame, socket) => void`. */
    static answer = () => undefined;
    /** Called when a socket is open. */
    static opened = () => undefined;

    readyState = FakeSocket.CONNECTING;
    binaryType = 'blob';
    bufferedAmount = 0;
    onopen = null;
    onmessage = null;
    onclose = null;
    onerror = null;

    constructor(url, protocols) {
      this.url = url;
      // The first that is no credential, as a server chooses.
      this.protocol = [protocols ?? []].flat()[0] ?? '';
      FakeSocket.last = this;
      setImmediate(() => {
        if (this.readyState !== FakeSocket.CONNECTING) return;
        this.readyState = FakeSocket.OPEN;
        this.onopen?.({ type: 'open' });
        FakeSocket.opened(this);
      });
    }

    send(frame) {
      FakeSocket.answer(frame, this);
    }

    receive(data) {
      this.onmessage?.({ type: 'message', data });
    }

    close(code = 1000, reason = '') {
      if (this.readyState >= FakeSocket.CLOSING) return;
      this.readyState = FakeSocket.CLOSED;
      setImmediate(() => this.onclose?.({ type: 'close', code, reason, wasClean: code === 1000 }));
    }
  };

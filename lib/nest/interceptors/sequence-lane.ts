import { Observable, type Subscription } from 'rxjs';

/** Runs the work of one connection one after another, and counts what comes out. */
export class SequenceLane {
  private readonly queue: (() => void)[] = [];
  private busy = false;
  private last = 0;

  /** Work that has not begun. */
  get waiting(): number {
    return this.queue.length;
  }

  /** The next number of this connection. */
  next(): number {
    return ++this.last;
  }

  /** Begins when everything before it has ended, however it ended; its place is taken when it is subscribed to. */
  run<T>(work: () => Observable<T>): Observable<T> {
    return new Observable<T>((subscriber) => {
      let inner: Subscription | undefined;
      let running = false;
      const end = (): void => {
        if (!running) return;
        running = false;
        this.advance();
      };
      const begin = (): void => {
        if (subscriber.closed) return this.advance();
        running = true;
        inner = work().subscribe({
          next: (value) => subscriber.next(value),
          error: (error) => {
            subscriber.error(error);
            end();
          },
          complete: () => {
            subscriber.complete();
            end();
          },
        });
      };
      this.enqueue(begin);
      return () => {
        const place = this.queue.indexOf(begin);
        if (place !== -1) this.queue.splice(place, 1);
        inner?.unsubscribe();
        end();
      };
    });
  }

  private enqueue(begin: () => void): void {
    if (this.busy) {
      this.queue.push(begin);
      return;
    }
    this.busy = true;
    begin();
  }

  private advance(): void {
    const begin = this.queue.shift();
    if (begin === undefined) this.busy = false;
    // Not at once: a long queue of work that ends synchronously would grow the stack.
    else queueMicrotask(begin);
  }
}

import type { ChannelAction } from '../../core/ports/channel-definition.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { DeclaredMethod } from './channel-methods.js';

/** The declarations of a class, each at most once. */
export class HandlerIndex {
  readonly authorize = new Map<ChannelAction, DeclaredMethod>();
  readonly publish = new Map<string, DeclaredMethod>();
  readonly requests = new Map<string, DeclaredMethod>();
  readonly connectionRequests = new Map<string, DeclaredMethod>();
  readonly moments = new Map<'snapshot' | 'subscribed' | 'unsubscribed', DeclaredMethod>();

  constructor(
    private readonly className: string,
    methods: readonly DeclaredMethod[],
    private readonly problems: BootProblems,
  ) {
    for (const method of methods) this.add(method);
  }

  private add(declared: DeclaredMethod): void {
    const { declaration } = declared;
    switch (declaration.kind) {
      case 'authorize':
        return this.put(this.authorize, declaration.action, declared, `@Authorize('${declaration.action}')`);
      case 'publish':
        return this.put(this.publish, declaration.event, declared, `@OnPublish('${declaration.event}')`);
      case 'request': {
        const requests = declaration.scope === 'connection' ? this.connectionRequests : this.requests;
        return this.put(requests, declaration.event, declared, `the request '${declaration.event}'`);
      }
      default:
        return this.put(this.moments, declaration.kind, declared, MOMENT_NAMES[declaration.kind]);
    }
  }

  private put<K>(into: Map<K, DeclaredMethod>, key: K, declared: DeclaredMethod, what: string): void {
    const first = into.get(key);
    if (first === undefined) {
      into.set(key, declared);
      return;
    }
    this.problems.add(
      this.className,
      `declares ${what} on ${first.name} and on ${declared.name}.`,
      'Keep one of them.',
    );
  }
}

const MOMENT_NAMES = {
  snapshot: '@Snapshot()',
  subscribed: '@OnSubscribe()',
  unsubscribed: '@OnUnsubscribe()',
} as const;

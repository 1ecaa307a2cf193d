import { map } from 'rxjs';

// The same classes are bound to handlers of the library and of a gateway. They do what the smallest of their kind do, so
// that what is measured is how they are run.

export class ConnectedGuard {
  canActivate(context) {
    return context.switchToWs().getClient() !== undefined;
  }
}

export class TitlePipe {
  transform(value) {
    if (typeof value?.title !== 'string') throw new Error('A title is needed');
    return value;
  }
}

export class PassingInterceptor {
  intercept(context, next) {
    return next.handle().pipe(map((result) => result));
  }
}

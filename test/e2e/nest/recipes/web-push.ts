import {
  BadRequestException,
  Body,
  Controller,
  Headers,
  HttpCode,
  Injectable,
  Post,
  UnauthorizedException,
} from '@nestjs/common';
import type { HookProvider, OfflineHookEvent } from 'nestjs-realtime/hooks';
import webpush, { WebPushError, type PushSubscription } from 'web-push';

// In tests, what an application takes from its configuration, and its users from a token.
export const VAPID = webpush.generateVAPIDKeys();
const process = {
  env: { VAPID_PUBLIC_KEY: VAPID.publicKey, VAPID_PRIVATE_KEY: VAPID.privateKey } as NodeJS.ProcessEnv,
};
const userOf = (headers: Record<string, string | undefined>) => {
  const { authorization = '' } = headers;
  if (!authorization.startsWith('Bearer ')) throw new UnauthorizedException();
  return authorization.slice('Bearer '.length);
};

// recipe: subscriptions for push messages
@Injectable()
export class PushSubscriptions {
  private readonly byUser = new Map<string, PushSubscription[]>(); // in production a table, by user and endpoint

  of(user: string): readonly PushSubscription[] {
    return this.byUser.get(user) ?? [];
  }
  add(user: string, subscription: PushSubscription): void {
    const others = this.of(user).filter(({ endpoint }) => endpoint !== subscription.endpoint);
    this.byUser.set(user, [...others, subscription].slice(-10)); // the ten devices that came last
  }
  remove(user: string, endpoint: string): void {
    this.byUser.set(
      user,
      this.of(user).filter((known) => known.endpoint !== endpoint),
    );
  }
}

// The endpoint comes from the browser, and this server sends requests to it: to push services, and nowhere else.
const SERVICES =
  /^https:\/\/(fcm\.googleapis\.com|updates\.push\.services\.mozilla\.com|[\w-]+\.push\.apple\.com|[\w-]+\.notify\.windows\.com)\//;

@Controller('push')
export class PushController {
  constructor(private readonly subscriptions: PushSubscriptions) {}

  @Post('subscriptions')
  @HttpCode(204)
  subscribe(@Headers() headers: Record<string, string>, @Body() { endpoint, keys }: PushSubscription): void {
    const isText = [endpoint, keys?.p256dh, keys?.auth].every((text) => typeof text === 'string');
    if (!isText || !SERVICES.test(endpoint))
      throw new BadRequestException('No subscription of a push service');
    this.subscriptions.add(userOf(headers), { endpoint, keys });
  }
}
// end

// recipe: push messages to users who are offline
const OPTIONS = {
  vapidDetails: {
    subject: 'mailto:admin@example.com',
    publicKey: process.env['VAPID_PUBLIC_KEY'] ?? '', // npx web-push generate-vapid-keys
    privateKey: process.env['VAPID_PRIVATE_KEY'] ?? '',
  },
  TTL: 24 * 3_600, // seconds that the push service keeps it for a device that is off
  timeout: 5_000,
};

@Injectable()
export class PushHooks implements HookProvider {
  constructor(private readonly subscriptions: PushSubscriptions) {}

  async onOffline({ id, user, notice }: OfflineHookEvent): Promise<void> {
    const { text } = notice.payload as { text: string };
    // A message that is sent again replaces the one with the same tag: the hook may be called twice.
    const message = JSON.stringify({ title: 'Shop', body: text, tag: id });
    const sent = this.subscriptions.of(user).map((device) => this.send(user, device, message));
    const failed = (await Promise.allSettled(sent)).filter(({ status }) => status === 'rejected');
    if (failed.length > 0) throw new Error(`${failed.length} devices could not be reached`); // so that it is tried again
  }

  private async send(user: string, device: PushSubscription, message: string): Promise<void> {
    try {
      await webpush.sendNotification(device, message, OPTIONS);
    } catch (error) {
      const status = error instanceof WebPushError ? error.statusCode : undefined;
      if (status !== 404 && status !== 410) throw error;
      this.subscriptions.remove(user, device.endpoint); // the browser has ended it
    }
  }
}
// end

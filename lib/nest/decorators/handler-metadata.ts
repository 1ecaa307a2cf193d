import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import type { ChannelAction } from '../../core/ports/channel-definition.js';
import { HANDLERS_METADATA } from '../constants.js';
import type { ChannelPolicyGuard } from './channel-policy.guard.js';

/** Who may call a request that needs no channel: a policy, everybody, or every client with a verified user. */
export type RequestAuthorization = Type<ChannelPolicyGuard> | 'public' | 'authenticated';

/** What a method of a channel class is for. One method may be several. */
export type HandlerDeclaration =
  | { readonly kind: 'authorize'; readonly action: ChannelAction }
  | { readonly kind: 'publish'; readonly event: string }
  | {
      readonly kind: 'request';
      readonly event: string;
      readonly scope: 'channel' | 'connection';
      readonly authorize?: RequestAuthorization;
    }
  | { readonly kind: 'snapshot' | 'subscribed' | 'unsubscribed' };

/**
 * Remembers a declaration on the method itself, where Nest keeps its own, so that inheritance works as users know it.
 */
export function declareHandler(declaration: HandlerDeclaration): MethodDecorator {
  return (_target, _key, descriptor) => {
    const method = descriptor.value as object;
    Reflect.defineMetadata(HANDLERS_METADATA, [...handlersOf(method), declaration], method);
  };
}

/** The declarations of a method; none for an ordinary one. */
export function handlersOf(method: object): readonly HandlerDeclaration[] {
  return (Reflect.getOwnMetadata(HANDLERS_METADATA, method) as HandlerDeclaration[] | undefined) ?? [];
}

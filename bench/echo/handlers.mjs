import { UseGuards, UseInterceptors, ValidationPipe } from '@nestjs/common';
import { MessageBody } from '@nestjs/websockets';
import { IsArray, IsInt, IsString } from 'class-validator';
import { decorate } from '../support/decorate.mjs';
import { ConnectedGuard, PassingInterceptor, TitlePipe } from './enhancers.mjs';
import { answer } from './request.mjs';

class Rename {}
decorate(Rename, { properties: { title: IsString(), tags: IsArray(), priority: IsInt() } });

/** What is bound to the handler of each event. */
const bound = {
  bare: {},
  guard: { on: [UseGuards(ConnectedGuard)] },
  pipe: { pipes: [TitlePipe] },
  interceptor: { on: [UseInterceptors(PassingInterceptor)] },
  guardAndPipe: { on: [UseGuards(ConnectedGuard)], pipes: [TitlePipe] },
  // Unknown fields are left alone: a gateway's message carries the id beside them.
  validation: { pipes: [new ValidationPipe()] },
};

/**
 * Gives a class one handler per event, and returns how they are decorated.
 *
 * @param {(event: string) => MethodDecorator} handles Makes a method the handler of an event.
 * @param {(answer: object, message: object) => unknown} reply Wraps what a handler returns.
 */
export function addHandlers({ prototype }, handles, reply = (result) => result) {
  const methods = {};
  for (const [event, { on = [], pipes = [] }] of Object.entries(bound)) {
    prototype[event] = (message) => reply(answer(message), message);
    methods[event] = { on: [...on, handles(event)], params: [[MessageBody(...pipes)]], types: [Rename] };
  }
  return methods;
}

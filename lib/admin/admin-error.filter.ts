import { Catch, Injectable, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { AdminAnswers } from './answer.js';

/** Answers every error of a route in one form: of its own checks, and of guards and interceptors of the application. */
@Catch()
@Injectable()
export class AdminErrorFilter implements ExceptionFilter {
  constructor(private readonly answers: AdminAnswers) {}

  catch(error: unknown, host: ArgumentsHost): void {
    this.answers.fail(host.switchToHttp().getResponse(), error);
  }
}

import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { Login } from './login.dto.js';
import { LoginLimit } from './login.limit.js';
import { userNamed } from './user.js';

/**
 * A demo identity: every name gets a token. There are no passwords, so do not copy this file. An application has its own
 * log-in here, and keeps only the last line, a short-lived JWT.
 */
@Controller('login')
export class LoginController {
  constructor(private readonly jwt: JwtService) {}

  @Post()
  @UseGuards(LoginLimit)
  @HttpCode(200)
  async login(@Body() { name }: Login) {
    const user = userNamed(name);
    return { user, token: await this.jwt.signAsync({ name: user.name }, { subject: user.id }) };
  }
}

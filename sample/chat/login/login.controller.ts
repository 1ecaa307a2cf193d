import { Body, Controller, HttpCode, Post, UnauthorizedException, UseGuards } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { Login } from './login.dto.js';
import { LoginLimit } from './login.limit.js';
import { ModeratorPassword } from './moderator.password.js';
import { isModerator, userNamed } from './user.js';

/**
 * A demo identity: every name but the moderator's gets a token without a password, so do not copy this file. An application has its own
 * log-in here, and keeps only the last line, a short-lived JWT.
 */
@Controller('login')
export class LoginController {
  constructor(
    private readonly jwt: JwtService,
    private readonly password: ModeratorPassword,
  ) {}

  @Post()
  @UseGuards(LoginLimit)
  @HttpCode(200)
  async login(@Body() { name, password }: Login) {
    const user = userNamed(name);
    if (isModerator(user) && !this.password.is(password))
      throw new UnauthorizedException({ message: ['This name needs its password'] });
    const { id: subject, ...claims } = user;
    return { user, token: await this.jwt.signAsync(claims, { subject }) };
  }
}

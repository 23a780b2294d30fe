import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { plainEnv, run } from './process.ts'
import type { Workplace } from './stack.ts'

/** A crane with one login. `crane auth login` only stores it; the first pull sends it. */
export const loggedIn = async (stack: Pick<Workplace, 'directory' | 'host'>, user: string, token: string) => {
  const home = join(stack.directory, `crane-${user}-${token.slice(-8)}`)
  await mkdir(home, { recursive: true })
  const env = plainEnv({ HOME: home, DOCKER_CONFIG: home })
  const crane = (...args: string[]) => run('crane', ['--insecure', ...args], { env })
  const login = await crane('auth', 'login', stack.host, '-u', user, '-p', token)
  if (login.code !== 0) throw new Error(login.output)
  return crane
}

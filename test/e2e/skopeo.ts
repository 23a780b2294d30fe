import { join } from 'node:path'
import { plainEnv, run } from './process.ts'
import type { Workplace } from './stack.ts'

export const isolatedSkopeo = (stack: Pick<Workplace, 'directory'>) => {
  // seed.ts wrote the policy there.
  const policy = join(stack.directory, 'policy.json')
  const env = plainEnv({ HOME: stack.directory, XDG_RUNTIME_DIR: stack.directory })
  return (...args: string[]) => run('skopeo', ['--policy', policy, ...args], { env })
}

/** A robot whose upstream answers what the test says. */
import { SignJWT } from 'jose'
import { createRobotToken, type RobotOptions } from '../../../src/upstream/robot/robot-token.ts'
import type { Quay } from '../../../src/sandbox/quay/quay.ts'
import { robot as account } from '../../sandbox/quay/quay-client.ts'

/** The logins that arrived. */
export const loginsAt = (quay: Quay) => quay.requests.filter(({ url }) => url.startsWith('/v2/auth'))

/** A function in place of upstream: `/v2/` challenges, everything else is the realm. */
export const scripted = (
  realmAnswer: { status: number; body: string } | Error,
  challenge: string | undefined = 'Bearer realm="https://quay.io/v2/auth",service="quay.io"',
) => {
  const asked: Array<{ href: string; authorization: string | undefined }> = []
  const get: RobotOptions['get'] = async (url, authorization) => {
    asked.push({ href: url.href, authorization })
    if (url.pathname === '/v2/')
      return { status: 401, body: '', ...(challenge === undefined ? {} : { challenge }) }
    if (realmAnswer instanceof Error) throw realmAnswer
    return realmAnswer
  }
  return { asked, get }
}

export const scriptedRobot = (
  realmAnswer: { status: number; body: string } | Error,
  options: Partial<RobotOptions> & { challenge?: string } = {},
) => {
  const { challenge, ...rest } = options
  const { asked, get } = scripted(realmAnswer, challenge)
  const refusals: string[] = []
  const robot = createRobotToken({
    credential: () => account,
    upstream: new URL('https://quay.io'),
    repository: 'openshift/ci',
    get,
    onRefused: (reason) => void refusals.push(reason),
    ...rest,
  })
  return { robot, asked, refusals }
}

export const granted = (answer: unknown) => ({ status: 200, body: JSON.stringify(answer) })

export const jwt = (claims: Record<string, unknown>): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new Uint8Array(32))

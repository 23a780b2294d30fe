/**
 * Reads the robot from a dockerconfigjson pull secret.
 * @see https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
 */
import { matchingKeys, type Target } from './docker-config-keys.ts'
import { trimBlanks, withoutBlanks } from './pasted-text.ts'
import type { RobotCredential } from './robot-credential.ts'

/**
 * The robot of the most specific entry for the upstream's repository. Kubelet tries the other entries, too; but a robot for the whole host
 * may have no right to this repository.
 * @throws {Error} if there is no entry, or it has no user name and password
 */
export const parseDockerConfig =
  (upstream: URL, repository: string) =>
  ([content = '']: readonly string[]): readonly RobotCredential[] => {
    const credential = credentialFor(content, { upstream, repository })
    if (credential === undefined) throw new Error(`the dockerconfigjson holds no entry for ${upstream.host}`)
    return [credential]
  }

/** The same for a person. Docker writes an empty entry `{}` for a login that its credential helper has. */
export const loginFor = (content: string, target: Target): RobotCredential | undefined =>
  credentialFor(content, target, (entry) => Object.keys(entry).length > 0)

/** The same for any repository. Undefined without a matching entry. @throws {Error} if the entry is not a user name and a password */
export const credentialFor = (
  content: string,
  target: Target,
  counts: (entry: Entry) => boolean = () => true,
): RobotCredential | undefined => {
  const all = Object.entries(authsOf(trimBlanks(content)))
  const auths = Object.fromEntries(all.filter(([, entry]) => counts(entry ?? {})))
  const [key] = matchingKeys(Object.keys(auths), target)
  return key === undefined
    ? undefined
    : credentialOf(auths[key] ?? {}, `the entry ${key} of the dockerconfigjson`)
}

type Entry = Readonly<Record<string, unknown>>
type Auths = Readonly<Record<string, Entry | undefined>>

const authsOf = (content: string): Auths => {
  let parsed: unknown
  try {
    parsed = JSON.parse(content)
  } catch {
    // The message of the parser quotes the text, which is a secret.
    throw new Error('the dockerconfigjson is not valid JSON')
  }
  const auths = typeof parsed === 'object' && parsed !== null && 'auths' in parsed ? parsed.auths : undefined
  if (typeof auths !== 'object' || auths === null) throw new Error('the dockerconfigjson holds no "auths"')
  return auths as Auths
}

const credentialOf = (entry: Entry, name: string): RobotCredential => {
  const field = (key: string): string => {
    const value = entry[key]
    return typeof value === 'string' ? trimBlanks(value) : ''
  }
  for (const token of ['identitytoken', 'registrytoken'])
    if (field(token) !== '')
      throw new Error(
        `${name} has the field ${token}, with which no robot logs in: give the robot's user name and password instead`,
      )
  const auth = field('auth')
  // Some tools write an empty `auth` in addition to the two. As with kubelet, a nonempty `auth` counts before them.
  const [username, password] =
    auth === '' ? [field('username'), field('password')] : splitAtColon(decode(auth, name))
  // Basic splits at the first colon.
  if (username === '' || password === '' || username.includes(':'))
    throw new Error(`${name} holds no user name and password`)
  return { username, password }
}

const splitAtColon = (text: string): readonly [string, string] => {
  const colon = text.indexOf(':')
  return colon === -1 ? ['', ''] : [trimBlanks(text.slice(0, colon)), trimBlanks(text.slice(colon + 1))]
}

/** The result may hold the line end of `echo user:password | base64`, or the byte order mark of a file. */
const decode = (auth: string, name: string): string => {
  const base64 = withoutBlanks(auth)
  // Node skips characters that are not base64: a login in plain text would decode to another one.
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(base64))
    throw new Error(`${name} holds no user name and password: its auth is not base64`)
  return Buffer.from(base64, 'base64').toString()
}

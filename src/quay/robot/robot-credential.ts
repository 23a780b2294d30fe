/**
 * The credentials of robots as they lie in files: user names and passwords, or a dockerconfigjson pull secret.
 */

export interface RobotCredential {
  readonly username: string
  readonly password: string
}

/** One robot a line, in the same order in both. @throws {Error} where that is not so */
export const parseRobots = ([
  usernames = '',
  passwords = '',
]: readonly string[]): readonly RobotCredential[] => {
  const names = linesOf(usernames)
  const secrets = linesOf(passwords)
  if (names.length === 0) throw new Error('the file of the robot user name is empty')
  if (secrets.length === 0) throw new Error('the file of the robot password is empty')
  if (names.length !== secrets.length)
    throw new Error(
      `they hold one robot a line, in the same order: there are ${names.length} user names and ${secrets.length} passwords`,
    )
  // Which of its two passwords is the right one nobody could tell.
  if (new Set(names).size < names.length)
    throw new Error('the file of the robot user names names a robot twice')
  return names.map((username, index) => ({ username, password: `${secrets[index]}` }))
}

const linesOf = (content: string): readonly string[] =>
  content
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')

/**
 * The entry of a dockerconfigjson for the upstream: the most specific of `host/namespace/name`, `host/namespace`, `host`.
 * @see https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
 * @throws {Error} where there is none, or it is not readable
 */
export const parseDockerConfig =
  (upstream: URL, repository: string) =>
  ([content = '']: readonly string[]): readonly RobotCredential[] => {
    const auths = authsOf(content)
    const [namespace = ''] = repository.split('/')
    const keys = [
      `${upstream.host}/${repository}`,
      `${upstream.host}/${namespace}`,
      upstream.host,
      upstream.origin,
    ]
    const key = keys.find((candidate) => Object.hasOwn(auths, candidate))
    if (key === undefined) throw new Error(`the dockerconfigjson holds no entry for ${upstream.host}`)
    const { auth = '', username = '', password = '' } = auths[key] ?? {}
    // Some tools write an empty `auth` beside the two.
    const decoded = auth === '' ? `${username}:${password}` : Buffer.from(auth, 'base64').toString()
    const colon = decoded.indexOf(':')
    if (colon < 1 || colon === decoded.length - 1)
      throw new Error(`the entry ${key} of the dockerconfigjson holds no user name and password`)
    return [{ username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }]
  }

type Auths = Readonly<Record<string, { auth?: string; username?: string; password?: string } | undefined>>

const authsOf = (content: string): Auths => {
  let parsed: unknown
  try {
    parsed = JSON.parse(content)
  } catch {
    // The parser's own message quotes the text, which is a secret.
    throw new Error('the dockerconfigjson is not valid JSON')
  }
  const auths = typeof parsed === 'object' && parsed !== null && 'auths' in parsed ? parsed.auths : undefined
  if (typeof auths !== 'object' || auths === null) throw new Error('the dockerconfigjson holds no "auths"')
  return auths as Auths
}

/**
 * The login that a person has already: a file with a token, the auth file of podman or docker, or that of `oc`. A token is never an
 * argument, which every user of the machine could read.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { loginFor } from '../secrets/docker-config.ts'
import { trimBlanks } from '../secrets/pasted-text.ts'

export interface LoginOptions {
  readonly server: URL
  /** `-` for standard input. */
  readonly tokenFile: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly openInput: () => AsyncIterable<string>
}

export interface Login {
  /** The value of the field Authorization. */
  readonly authorization: string
  /** For the person: where it came from. */
  readonly from: string
}

/** @throws {Error} if there is no login, or the file holds none */
export const findLogin = async (options: LoginOptions): Promise<Login> => {
  const { tokenFile, server } = options
  if (tokenFile !== undefined) return await fromTokenFile(tokenFile, options)
  return (await fromAuthFiles(options)) ?? (await fromOc(server, options))
}

/** Characters. */
const maxTokenLength = 16 * 1024

const fromTokenFile = async (path: string, { openInput }: LoginOptions): Promise<Login> => {
  const name = path === '-' ? 'standard input' : path
  let text = ''
  if (path === '-') {
    for await (const chunk of openInput()) if (text.length <= maxTokenLength) text += chunk
  } else text = await readFile(path, 'utf8').catch(unreadable(path))
  return bearer(text, name)
}

const bearer = (text: string, from: string): Login => {
  const token = trimBlanks(text)
  const wrong = whatIsWrong(token)
  // Not the text itself: it may be a secret of another kind.
  if (wrong !== undefined) throw new Error(`${from} holds no token: ${wrong}`)
  return { authorization: `Bearer ${token}`, from }
}

const whatIsWrong = (token: string): string | undefined => {
  if (token === '') return 'it is empty'
  if (token.length > maxTokenLength) return 'it is longer than any token'
  if (/\s/.test(token)) return 'it has white space in it, as an error message has'
  return /[^\x21-\x7e]/.test(token) ? 'it has characters that no token has' : undefined
}

const unreadable =
  (path: string) =>
  (error: unknown): never => {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }

/** @see https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md */
const authFilesOf = ({ environment }: LoginOptions): readonly string[] => {
  const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, HOME, DOCKER_CONFIG } = environment
  if (isGiven(REGISTRY_AUTH_FILE)) return [REGISTRY_AUTH_FILE]
  const [config, docker] = isGiven(HOME)
    ? [XDG_CONFIG_HOME ?? join(HOME, '.config'), DOCKER_CONFIG ?? join(HOME, '.docker')]
    : [XDG_CONFIG_HOME, DOCKER_CONFIG]
  return [
    ...(isGiven(XDG_RUNTIME_DIR) ? [join(XDG_RUNTIME_DIR, 'containers/auth.json')] : []),
    ...(isGiven(config) ? [join(config, 'containers/auth.json')] : []),
    ...(isGiven(docker) ? [join(docker, 'config.json')] : []),
  ]
}

const isGiven = (text: string | undefined): text is string => text !== undefined && text !== ''

/** Undefined if no file has an entry for the server. */
const fromAuthFiles = async (options: LoginOptions): Promise<Login | undefined> => {
  for (const path of authFilesOf(options)) {
    const content = await readFile(path, 'utf8').catch((error: unknown) =>
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : unreadable(path)(error),
    )
    const login = content === undefined ? undefined : loginIn(content, path, options)
    if (login !== undefined) return login
  }
  return undefined
}

const loginIn = (content: string, path: string, { server }: LoginOptions): Login | undefined => {
  // A file with a credential helper alone has no logins.
  if (!/"auths"/.test(content)) return undefined
  try {
    const found = loginFor(content, { upstream: server, repository: '' })
    if (found === undefined) return undefined
    const basic = Buffer.from(`${found.username}:${found.password}`).toString('base64')
    return { authorization: `Basic ${basic}`, from: path }
  } catch (error) {
    // Its message is for the administrator of a robot.
    throw new Error(
      `${path}: the login for ${server.host} in it cannot be used; podman login ${server.host} again, or give --token-file`,
      { cause: error },
    )
  }
}

/** Milliseconds. `oc` reads a file; it sends nothing for this. */
const ocTimeoutMs = 10_000

const fromOc = async ({ host }: URL, { environment }: LoginOptions): Promise<Login> => {
  const none = `there is no login for ${host} in the auth files of podman and docker`
  try {
    const { stdout } = await promisify(execFile)('oc', ['whoami', '-t'], {
      env: environment,
      timeout: ocTimeoutMs,
      killSignal: 'SIGKILL',
    })
    return bearer(stdout, 'oc whoami -t')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'oc is not installed' : 'oc whoami -t prints no token'
    // Attack: the error quotes the output of the command, which may be a token. It is not passed on.
    // oxlint-disable-next-line preserve-caught-error
    throw new Error(`${none}, and ${why}: give --token-file, or podman login ${host}`)
  }
}

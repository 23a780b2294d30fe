/**
 * Gets the credential: from a file with a token, as a bound token of a service account, or from the login of `oc`. It is never stored, so
 * that it is never outdated.
 */
import { readFile } from 'node:fs/promises'
import { HelperError } from './helper-error.ts'
import { runOc, type OcOptions, type OcResult } from './oc.ts'
import type { Settings } from './settings.ts'
import { expiryOf, readToken } from './token.ts'

export interface Credential {
  readonly username: string
  readonly secret: string
}

/** @throws {HelperError} if there is none */
export const findCredential = async (settings: Settings, options: OcOptions): Promise<Credential> => {
  const { tokenFile, serviceAccount } = settings
  if (tokenFile !== undefined) return await fromFile(tokenFile)
  if (serviceAccount !== undefined) return await boundToken(serviceAccount, settings, options)
  return await loginOfOc(settings, options)
}

const fromFile = async (path: string): Promise<Credential> => {
  const content = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new HelperError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, {
      cause: error,
    })
  })
  const secret = readToken(content, `${path} holds no token`)
  const expiry = expiryOf(secret)
  if (expiry !== undefined && expiry <= Date.now())
    throw new HelperError(`the token in ${path} expired at ${new Date(expiry).toISOString()}: renew the file`)
  // The proxy takes the name from the token.
  return { username: 'token-file', secret }
}

const boundToken = async (
  { namespace, name }: NonNullable<Settings['serviceAccount']>,
  settings: Settings,
  options: OcOptions,
): Promise<Credential> => {
  const ask = ocOf(settings, options)
  const [server, created] = await Promise.all([
    serverOf(settings, ask),
    ask('create', 'token', name, `--namespace=${namespace}`, `--duration=${settings.duration}`),
  ])
  requireServer(server, settings)
  const command = `oc create token ${name} -n ${namespace}`
  if (!created.succeeded) {
    if (isLoggedOut(created)) throw new HelperError(loginAgain(settings))
    throw new HelperError(`${command} failed: run it to see why; it needs create serviceaccounts/token`)
  }
  // As `oc registry login` writes it.
  return {
    username: `system-serviceaccount-${namespace}-${name}`,
    secret: readToken(created.stdout, `${command} printed no token`),
  }
}

const loginOfOc = async (settings: Settings, options: OcOptions): Promise<Credential> => {
  const ask = ocOf(settings, options)
  // The first command reads a file. The second one sends a request to the API server, which notices an expired token.
  const [server, token, user] = await Promise.all([
    serverOf(settings, ask),
    ask('whoami', '-t'),
    ask('whoami'),
  ])
  const again = loginAgain(settings)
  if (!token.succeeded) throw new HelperError(again)
  requireServer(server, settings)
  if (!user.succeeded)
    throw new HelperError(
      isLoggedOut(user) ? again : 'oc whoami failed: run it to see why; the API server may be unreachable',
    )
  return { username: readToken(user.stdout, again), secret: readToken(token.stdout, again) }
}

type Oc = (...args: readonly string[]) => Promise<OcResult>

const ocOf =
  ({ context }: Settings, options: OcOptions): Oc =>
  async (...args) =>
    await runOc(context === undefined ? args : [...args, `--context=${context}`], options)

const serverOf = async ({ clusterUrl }: Settings, ask: Oc): Promise<OcResult | undefined> =>
  clusterUrl === undefined ? undefined : await ask('whoami', '--show-server')

/** Attack: the token of another cluster would be sent to a registry that it is not for. */
const requireServer = (server: OcResult | undefined, settings: Settings): void => {
  if (server === undefined) return
  const url = server.stdout.trim()
  if (URL.canParse(url) && new URL(url).origin === settings.clusterUrl) return
  throw new HelperError(`oc is logged in to another cluster: ${loginCommand(settings)}`)
}

const isLoggedOut = ({ stderr }: OcResult): boolean => /unauthorized|logged in/i.test(stderr)

const loginCommand = ({ clusterUrl }: Settings): string =>
  clusterUrl === undefined ? 'oc login' : `oc login ${clusterUrl}`

const loginAgain = (settings: Settings): string =>
  `oc is not logged in, or its token has expired: ${loginCommand(settings)}`

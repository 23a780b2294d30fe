/**
 * The protocol of docker's credential helpers: an action as the argument, the server on the input, JSON or an error on the output.
 *
 * @see https://github.com/docker/docker-credential-helpers
 */
import type { Credential } from './credential.ts'
import { HelperError } from './helper-error.ts'
import { normalizedHost } from './server-host.ts'

export interface Request {
  readonly input: string
  /** The registries of the settings. */
  readonly hosts: readonly string[]
  readonly find: () => Promise<Credential>
}

/** Clients compare these texts, and continue without a credential. */
const notFound = 'credentials not found in native keychain'
const noServer = 'no credentials server URL'

const requireHost = ({ input, hosts }: Request): string => {
  const server = input.trim()
  if (server === '') throw new HelperError(noServer)
  // Attack: with a helper for all registries, every registry would get the token.
  if (!hosts.includes(normalizedHost(server) ?? '')) throw new HelperError(notFound)
  return server
}

const get = async (request: Request): Promise<object> => {
  const server = requireHost(request)
  const { username, secret } = await request.find()
  return { ServerURL: server, Username: username, Secret: secret }
}

/** Host to user name. A failure is an empty list: `podman build` lists every helper, for images of other registries as well. */
const list = async ({ hosts, find }: Request): Promise<object> => {
  try {
    const { username } = await find()
    return Object.fromEntries(hosts.map((host) => [host, username]))
  } catch (error) {
    if (error instanceof HelperError) return {}
    throw error
  }
}

const store = async (): Promise<never> => {
  throw new HelperError(
    'docker-credential-quay-proxy stores nothing, and needs no login of its own: it hands out the token of oc (oc login)',
  )
}

/** There is nothing to erase, so this succeeds. `podman logout` of podman 4.3 crashes (stack overflow) on an error. */
const erase = async ({ input }: Request): Promise<undefined> => {
  if (input.trim() === '') throw new HelperError(noServer)
}

/** Each action returns the value to print as JSON, or nothing. @throws {HelperError} with the message to print */
export const dockerActions: Readonly<Record<string, (request: Request) => Promise<object | undefined>>> = {
  get,
  store,
  erase,
  list,
}

/**
 * The exec protocol of the kubelet: a CredentialProviderRequest on the input, a CredentialProviderResponse on the output. If the kubelet
 * sends a token of the pod's service account, the pod pulls with the rights of this account.
 *
 * @see https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/
 */
import type { Request } from './docker-protocol.ts'
import { HelperError } from './helper-error.ts'
import { normalizedHost } from './server-host.ts'
import { readToken } from './token.ts'

const apiVersion = 'credentialprovider.kubelet.k8s.io/v1'

/** Shorter than the life of any token that the kubelet has just renewed. */
const cacheDuration = '1m0s'

/** @throws {HelperError} if the request cannot be read, or there is no credential */
export const answerKubelet = async ({ input, hosts, find }: Request): Promise<object> => {
  const { image, serviceAccountToken } = readRequest(input)
  const host = image.replace(/\/.*$/s, '')
  const auth = hosts.includes(normalizedHost(host) ?? '')
    ? await authFor(serviceAccountToken, find)
    : undefined
  return {
    apiVersion,
    kind: 'CredentialProviderResponse',
    cacheKeyType: 'Registry',
    cacheDuration,
    auth: auth === undefined ? {} : { [host]: auth },
  }
}

const authFor = async (token: string, find: Request['find']): Promise<object> => {
  // The proxy takes the name from the token.
  if (token !== '')
    return {
      username: 'service-account',
      password: readToken(token, 'the token of the kubelet cannot be read'),
    }
  const { username, secret } = await find()
  return { username, password: secret }
}

const readRequest = (input: string): { image: string; serviceAccountToken: string } => {
  const { apiVersion: version, kind, image, serviceAccountToken = '' } = parse(input)
  if (
    version !== apiVersion ||
    kind !== 'CredentialProviderRequest' ||
    typeof image !== 'string' ||
    typeof serviceAccountToken !== 'string'
  )
    throw new HelperError(`the input is no CredentialProviderRequest of ${apiVersion}`)
  return { image, serviceAccountToken }
}

const parse = (input: string): Readonly<Record<string, unknown>> => {
  try {
    return Object(JSON.parse(input)) as Record<string, unknown>
  } catch {
    return {}
  }
}

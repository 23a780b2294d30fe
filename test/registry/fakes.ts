import { once } from 'node:events'
import { connect, type Server } from 'node:net'
import { text } from 'node:stream/consumers'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { ClusterIdentity } from '../../src/access/identity.ts'
import type { Decision } from '../../src/access/policy.ts'
import { errorBody, RegistryError } from '../../src/oci/errors.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { createChallenge } from '../../src/registry/authentication/credential.ts'
import { createFindNearTag } from '../../src/registry/near-tag.ts'
import { createDenialMessage } from '../../src/registry/denial.ts'
import { decorateRequests } from '../../src/registry/request-context.ts'
import type { RoutesOptions } from '../../src/registry/routes.ts'
import type { Digest } from '../../src/oci/reference.ts'

export const hex = 'a'.repeat(64)
export const digest = `sha256:${hex}` as Digest
export const challenge = createChallenge('https://proxy.example/v2/auth', 'proxy.example')

export const alice: ClusterIdentity = {
  kind: 'user',
  key: 'alice',
  user: { username: 'alice', groups: [], extra: {} },
}
export const allowed: Decision = {
  allowed: true,
  rule: 'qci-wide',
  namespace: 'ocp',
  grantedBy: 'ocp',
  source: 'live',
}
export const refused: Decision = { allowed: false, rule: 'none', namespace: 'ocp', source: 'cached' }

/** Alice may do everything, and there is nothing; each test replaces what it is about. */
export const routesOptions = (more: Partial<RoutesOptions> = {}): RoutesOptions => {
  const options = { ...defaults(), ...more }
  return { findNearTag: createFindNearTag(options), ...options }
}

const defaults = (): Omit<RoutesOptions, 'findNearTag'> => ({
  authenticate: async (credential) => {
    if (credential.kind === 'none') throw challenge.unauthorized('log in first')
    return {
      identity: alice,
      bearerToken: 'kind' in credential && 'token' in credential ? credential.token : '',
    }
  },
  challenge,
  policy: {
    decide: async () => allowed,
    mayList: async () => true,
    decideImageStream: async () => allowed,
  },
  ownerOf: createTagOwner((namespace) => namespace.endsWith('-priv')),
  monorepo: 'openshift/ci',
  exposedHost: 'proxy.example',
  denied: createDenialMessage('ocp', (namespace) => namespace.endsWith('-priv')),
  observe: () => undefined,
  openBlob: async () => {
    throw new RegistryError('BLOB_UNKNOWN', 'no such blob')
  },
  observeStreams: () => undefined,
  fetchManifest: async () => {
    throw new RegistryError('MANIFEST_UNKNOWN', 'no such manifest')
  },
  fetchReferrers: async () => ({ manifests: [], isFiltered: false }),
  cursors: {
    seal: async ({ after }) => `~${after}`,
    open: async (last) => ({ after: last, emptyPages: 0 }),
  },
  fetchTags: async () => ({ tags: [], more: false }),
  robotTokens: { mint: async () => ({ token: 'minted', expiresInSeconds: 60 }) },
  expiryOf: () => undefined,
})

/** A Fastify that knows what the hooks of the registry set, and writes errors as the server does. */
export const bareApp = (test: Test): FastifyInstance => {
  const app = Fastify({ exposeHeadRoutes: false, routerOptions: { maxParamLength: 512 } })
  decorateRequests(app, () => ({ address: '127.0.0.1', network: '127.0.0.1' }))
  app.addHook('onRequest', async (request) => {
    request.receivedAt = performance.now()
  })
  app.setErrorHandler((error: Partial<RegistryError>, _request, reply) => {
    const { status = 500, headers = {}, code = 'UNAVAILABLE', message = '' } = error
    return reply
      .code(status)
      .headers({ ...headers, 'content-type': 'application/json' })
      .send(errorBody({ code, message }))
  })
  test.teardown(() => app.close())
  return app
}

/** Listens on a free port for as long as the test runs. */
export const listen = async (test: Test, app: FastifyInstance): Promise<number> => {
  test.teardown(() => app.close())
  test.teardown(() => app.server.closeAllConnections())
  return Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
}

/** Everything that is answered to some bytes, until the connection ends. */
export const raw = async (port: number, bytes: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(bytes)
  return await text(socket)
}

/** Until nobody is connected to it any more, by its own count. */
export const untilNoConnections = async (server: Server): Promise<void> => {
  const count = () =>
    new Promise<number>((resolve) => server.getConnections((_error, connections) => resolve(connections)))
  while ((await count()) > 0) await new Promise((resolve) => setTimeout(resolve, 2))
}

export const bearer = { authorization: 'Bearer token' }

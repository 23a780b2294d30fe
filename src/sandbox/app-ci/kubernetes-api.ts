/** The part of app.ci's API server that quay-proxy uses: reviews, and the ImageStreams. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { kubeconfigOf } from './kubeconfig.ts'
import type { ImageStreams } from './image-streams.ts'
import { imageStreamsVerb, namespaceOf, SandboxImageStreams } from './image-streams.ts'
import type { KubernetesObject, Rbac } from './rbac.ts'
import { createRbac } from './rbac.ts'
import type { Answer, SubjectAccessReviewSpec } from './reviews.ts'
import { authorize, failure, reviewAccess, reviewToken } from './reviews.ts'
import type { ServiceAccountTokenOptions, Tokens, UserTokenOptions } from './tokens.ts'
import { apiAudience, createTokens } from './tokens.ts'
import type { Fault } from './wire.ts'
import { readBody, send, sendFault, tooLarge } from './wire.ts'

export type { SubjectAccessReviewSpec } from './reviews.ts'
export type { ServiceAccountTokenOptions, UserTokenOptions } from './tokens.ts'
export type { Fault } from './wire.ts'

export interface KubernetesApiOptions {
  readonly objects: readonly KubernetesObject[]
  /** The service account of the kubeconfig. Default: `ci/quay-proxy`. */
  readonly proxyServiceAccount?: { readonly namespace: string; readonly name: string }
  /** Default: 127.0.0.1. */
  readonly host?: string
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** A namespace, and optionally an image stream in it, that images are pulled from. */
export interface Place {
  readonly namespace: string
  readonly name?: string
}

export interface KubernetesApi {
  readonly url: string
  /** YAML for `--kubeconfig`, with a token of the proxy's service account that is valid for a year. */
  kubeconfig(): string
  issueUserToken(options: UserTokenOptions): string
  issueServiceAccountToken(options: ServiceAccountTokenOptions): string
  revoke(token: string): void
  /** Replaces all objects, as if they were deleted and these were applied. */
  replaceObjects(objects: readonly KubernetesObject[]): void
  /** The objects that an API server would refuse, each with its name and the reason. */
  readonly skipped: readonly string[]
  /** The access of the owner of the token by RBAC: a review of `get imagestreams/layers` for each place. These reviews are not counted. */
  mayPull(token: string, places: readonly Place[]): readonly boolean[]
  /** Requests for reviews, including those without an answer. */
  readonly requests: { readonly tokenReviews: number; readonly subjectAccessReviews: number }
  /** The SubjectAccessReviews that were judged, oldest first. */
  readonly reviews: readonly SubjectAccessReviewSpec[]
  readonly imageStreams: ImageStreams
  fault(mode: Fault): void
  close(): Promise<void>
}

const tokenReviewPath = '/apis/authentication.k8s.io/v1/tokenreviews'
const accessReviewPath = '/apis/authorization.k8s.io/v1/subjectaccessreviews'

const version = { major: '1', minor: '33', gitVersion: 'v1.33.0-sandbox', platform: 'linux/amd64' }

/** Starts these APIs over HTTP on a free port. */
export const startKubernetesApi = async (options: KubernetesApiOptions): Promise<KubernetesApi> => {
  const api = new SandboxKubernetesApi(options)
  await api.listen(options.host ?? '127.0.0.1')
  return api
}

const pullAttributes = {
  verb: 'get',
  group: 'image.openshift.io',
  resource: 'imagestreams',
  subresource: 'layers',
}

class SandboxKubernetesApi implements KubernetesApi {
  readonly requests = { tokenReviews: 0, subjectAccessReviews: 0 }
  readonly reviews: SubjectAccessReviewSpec[] = []
  readonly imageStreams = new SandboxImageStreams()
  readonly #server: Server
  readonly #tokens: Tokens
  readonly #proxyToken: string
  #rbac: Rbac
  #fault: Fault = { kind: 'none' }

  constructor({ objects, proxyServiceAccount, now = Date.now }: KubernetesApiOptions) {
    this.#rbac = createRbac(objects)
    this.#tokens = createTokens({ now })
    const account = proxyServiceAccount ?? { namespace: 'ci', name: 'quay-proxy' }
    this.#proxyToken = this.issueServiceAccountToken({ ...account, expiresInSeconds: 365 * 24 * 3600 })
    this.#server = createServer((request, response) => {
      // A client that disconnected within a body gets no answer.
      this.#serve(request, response).catch(() => response.destroy())
    })
  }

  async listen(host: string): Promise<void> {
    this.#server.listen(0, host)
    await once(this.#server, 'listening')
  }

  get url(): string {
    const { address, family, port } = this.#server.address() as AddressInfo
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  }

  kubeconfig(): string {
    return kubeconfigOf(this.url, this.#proxyToken)
  }

  issueUserToken(options: UserTokenOptions): string {
    return this.#tokens.issueUserToken(options)
  }

  issueServiceAccountToken(options: ServiceAccountTokenOptions): string {
    return this.#tokens.issueServiceAccountToken(options)
  }

  revoke(token: string): void {
    this.#tokens.revoke(token)
  }

  replaceObjects(objects: readonly KubernetesObject[]): void {
    this.#rbac = createRbac(objects)
  }

  get skipped(): readonly string[] {
    return this.#rbac.skipped
  }

  mayPull(token: string, places: readonly Place[]): readonly boolean[] {
    const caller = this.#tokens.authenticate(token, [apiAudience])
    return places.map(
      (place) =>
        caller.authenticated && authorize(this.#rbac, caller.user, { ...pullAttributes, ...place }).allowed,
    )
  }

  fault(mode: Fault): void {
    this.#fault = mode
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = `${request.method} ${request.url!.split('?')[0]}`
    if (asked === `POST ${tokenReviewPath}`) this.requests.tokenReviews++
    if (asked === `POST ${accessReviewPath}`) this.requests.subjectAccessReviews++
    const body = await readBody(request)
    const fault = this.#fault
    if (fault.kind === 'hang') return
    if (fault.kind === 'reset') request.socket.resetAndDestroy()
    else if (fault.kind === 'status') sendFault(response, fault)
    else {
      if (fault.kind === 'slow') await delay(fault.delayMs, undefined, { ref: false })
      const answer =
        body === undefined
          ? tooLarge()
          : imageStreamsVerb(request) === undefined
            ? this.#answer(asked, request.headers.authorization, body)
            : this.#imageStreams(request, response)
      if (answer !== undefined) send(response, answer)
    }
  }

  #imageStreams(request: IncomingMessage, response: ServerResponse): Answer | undefined {
    const verb = imageStreamsVerb(request)!
    const { authorization } = request.headers
    const url = new URL(request.url!, 'http://sandbox')
    const namespace = namespaceOf(url.pathname)
    const refusal = this.#refuseCaller(authorization, 'imagestreams', 'image.openshift.io', verb, namespace)
    return refusal ?? this.imageStreams.answer(url, response)
  }

  #answer(asked: string, authorization: string | undefined, body: string): Answer {
    if (asked === 'GET /version') return { status: 200, body: version }
    if (asked === 'GET /readyz') return { status: 200, body: 'ok' }
    if (asked === `POST ${tokenReviewPath}`) {
      const refusal = this.#refuseCaller(authorization, 'tokenreviews', 'authentication.k8s.io')
      return refusal ?? reviewToken(body, this.#tokens)
    }
    if (asked === `POST ${accessReviewPath}`) {
      const refusal = this.#refuseCaller(authorization, 'subjectaccessreviews', 'authorization.k8s.io')
      return refusal ?? reviewAccess(body, this.#rbac, (spec) => this.reviews.push(spec))
    }
    return failure(404, 'NotFound', 'the server could not find the requested resource')
  }

  /** The proxy needs the rights that its manifests grant, like any other client. */
  #refuseCaller(
    authorization: string | undefined,
    resource: string,
    group: string,
    verb = 'create',
    namespace?: string,
  ): Answer | undefined {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''
    const caller = this.#tokens.authenticate(token, [apiAudience])
    if (!caller.authenticated) return failure(401, 'Unauthorized', 'Unauthorized')
    const place = namespace === undefined ? {} : { namespace }
    const attributes = { verb, group, version: 'v1', resource, ...place }
    const { allowed, reason } = authorize(this.#rbac, caller.user, attributes)
    if (allowed) return undefined
    const message =
      `${resource}.${group} is forbidden: User "${caller.user.username}" cannot ${verb} resource "${resource}" ` +
      `in API group "${group}" ${namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`}`
    return failure(403, 'Forbidden', reason === '' ? message : `${message}: ${reason}`)
  }
}

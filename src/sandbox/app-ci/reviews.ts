/** TokenReview and SubjectAccessReview, as the API server answers them. */
import type { UserInfo } from '../../access/identity.ts'
import type { Attributes, Decision, NonResourceAttributes, Rbac, ResourceAttributes } from './rbac.ts'
import type { Tokens } from './tokens.ts'
import { apiAudience } from './tokens.ts'

/** A SubjectAccessReview's `spec`, as it is sent: nothing expands `groups`, nothing looks `user` up. */
export interface SubjectAccessReviewSpec {
  readonly user?: string
  readonly uid?: string
  readonly groups?: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
  /** One of the two. */
  readonly resourceAttributes?: ResourceAttributes
  readonly nonResourceAttributes?: NonResourceAttributes
}

export interface Answer {
  readonly status: number
  /** A string is sent as text, any other value as JSON. */
  readonly body: string | Readonly<Record<string, unknown>>
}

/** A `Status`: the error of the API server. */
export const failure = (code: number, reason: string, message: string): Answer => ({
  status: code,
  body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code },
})

/** The `spec` of a review of this kind, otherwise the 400 to answer. */
const readSpec = (body: string, apiVersion: string, kind: string): { spec: object } | { refusal: Answer } => {
  let review: { apiVersion?: unknown; kind?: unknown; spec?: unknown } | null
  try {
    review = JSON.parse(body)
  } catch (error) {
    return { refusal: badRequest(`the object provided is unrecognized: ${String(error)}`) }
  }
  // As in the API server, the path determines the kind if the body has none.
  if ((review?.apiVersion ?? apiVersion) !== apiVersion || (review?.kind ?? kind) !== kind)
    return { refusal: badRequest(`the body must be a ${kind} of ${apiVersion}`) }
  const spec = review?.spec
  return typeof spec === 'object' && spec !== null
    ? { spec }
    : { refusal: badRequest(`${kind} without spec`) }
}

const badRequest = (message: string): Answer => failure(400, 'BadRequest', message)

/** Answers 201 for bad and good tokens, as the API server does. */
export const reviewToken = (body: string, tokens: Tokens): Answer => {
  const apiVersion = 'authentication.k8s.io/v1'
  const read = readSpec(body, apiVersion, 'TokenReview')
  if ('refusal' in read) return read.refusal
  const spec: { token?: unknown; audiences?: unknown } = read.spec
  if (typeof spec.token !== 'string' || spec.token === '')
    return badRequest('token is required for TokenReview in authentication')
  const asked = (spec.audiences ?? []) as readonly string[]
  const result = tokens.authenticate(spec.token, asked.length === 0 ? [apiAudience] : asked)
  const status = tokenReviewStatus(result)
  // The answer repeats the spec with the token, as the real one does, so a log of answers would contain credentials.
  return { status: 201, body: { kind: 'TokenReview', apiVersion, metadata: {}, spec, status } }
}

const tokenReviewStatus = (result: ReturnType<Tokens['authenticate']>): Record<string, unknown> =>
  result.authenticated
    ? { authenticated: true, user: result.user, audiences: result.audiences }
    : { authenticated: false, user: {}, error: result.error }

/** @param seen is called with each spec that was judged */
export const reviewAccess = (
  body: string,
  rbac: Rbac,
  seen: (spec: SubjectAccessReviewSpec) => void,
): Answer => {
  const apiVersion = 'authorization.k8s.io/v1'
  const read = readSpec(body, apiVersion, 'SubjectAccessReview')
  if ('refusal' in read) return read.refusal
  const spec: SubjectAccessReviewSpec = read.spec
  const invalid = problemOf(spec)
  if (invalid !== undefined)
    return failure(422, 'Invalid', `SubjectAccessReview.authorization.k8s.io "" is invalid: ${invalid}`)
  seen(spec)
  const { allowed, denied, reason } = authorize(rbac, userOf(spec), attributesOf(spec))
  const status = { allowed, ...(denied ? { denied } : {}), ...(reason === '' ? {} : { reason }) }
  return { status: 201, body: { kind: 'SubjectAccessReview', apiVersion, metadata: {}, spec, status } }
}

const problemOf = (spec: SubjectAccessReviewSpec): string | undefined => {
  const { resourceAttributes, nonResourceAttributes } = spec
  if (!resourceAttributes && !nonResourceAttributes)
    return 'spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified'
  if (resourceAttributes && nonResourceAttributes)
    return 'spec.nonResourceAttributes: Invalid value: cannot be specified in combination with resourceAttributes'
  if (spec.groups && !Array.isArray(spec.groups)) return 'spec.groups: Invalid value: must be a list'
  return spec.user || spec.groups?.length
    ? undefined
    : 'spec.user: Invalid value: "": at least one of user or group must be specified'
}

const attributesOf = ({ resourceAttributes, nonResourceAttributes }: SubjectAccessReviewSpec): Attributes =>
  nonResourceAttributes ? { path: '', ...nonResourceAttributes } : resourceAttributes!

const userOf = ({ user = '', uid, groups, extra }: SubjectAccessReviewSpec): UserInfo => ({
  username: user,
  ...(uid === undefined ? {} : { uid }),
  groups: groups ?? [],
  extra: extra ?? {},
})

/**
 * The authorizers of an OpenShift API server in their order: first the scopes of the OAuth token, which can only deny, then RBAC. Every
 * scope other than `user:full` permits nothing here.
 */
export const authorize = (
  rbac: Rbac,
  user: UserInfo,
  attributes: Attributes,
): Decision & { readonly denied: boolean } => {
  const scopes = user.extra['scopes.authorization.openshift.io'] ?? []
  if (scopes.length > 0 && !scopes.includes('user:full'))
    return { allowed: false, denied: true, reason: `scopes [${scopes.join(' ')}] prevent this action` }
  return { ...rbac.authorize(user, attributes), denied: false }
}

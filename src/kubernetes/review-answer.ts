/**
 * The only place that parses a review from JSON. A response that is not exactly the requested review is an error: neither a yes, nor a no
 * that would be cached.
 *
 * Attack: a web server, a captive portal or a misconfigured router at the API server's address answers 200 to everything. Its responses
 * must not log people out, and must not make the proxy ready.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
 */
import type { UserInfo } from '../access/identity.ts'
import { parseAnswer } from '../oci/json-bounds.ts'

/** The response is not the requested review. The message quotes nothing of the response. */
export class NotAReview extends Error {
  override readonly name = 'NotAReview'
}

export type TokenAnswer =
  | { readonly authenticated: true; readonly user: UserInfo; readonly audiences: readonly string[] }
  /** `error` is a text of the API server, and may be anything. */
  | { readonly authenticated: false; readonly error: string | undefined }

export interface AccessAnswer {
  readonly allowed: boolean
}

/** @param status of HTTP. @throws {NotAReview} */
export const readTokenReview = (status: number, body: string): TokenAnswer => {
  const review = statusOf(status, body, 'authentication.k8s.io/v1', 'TokenReview')
  // Go omits fields that are false or empty.
  const authenticated = optional(review, 'authenticated', isBoolean) ?? false
  const error = nullable(review, 'error', isString)
  const audiences = nullable(review, 'audiences', isStrings) ?? []
  if (!authenticated) return { authenticated, error }
  return { authenticated, user: userOf(required(review, 'user', isObject)), audiences }
}

/** @param status of HTTP. @throws {NotAReview} */
export const readAccessReview = (status: number, body: string): AccessAnswer => {
  const review = statusOf(status, body, 'authorization.k8s.io/v1', 'SubjectAccessReview')
  const allowed = required(review, 'allowed', isBoolean)
  const denied = nullable(review, 'denied', isBoolean) ?? false
  nullable(review, 'reason', isString)
  nullable(review, 'evaluationError', isString)
  // "No opinion" sets neither. If both are set, the denial wins.
  return { allowed: allowed && !denied }
}

type Json = Readonly<Record<string, unknown>>

const statusOf = (status: number, body: string, apiVersion: string, kind: string): Json => {
  const no = (why: string) => new NotAReview(`it answered ${status} without a valid ${kind}: ${why}`)
  // The API server answers 201; some gateways in front of it change that to 200.
  if (status !== 201 && status !== 200) throw no('that status is not of a review')
  let review: unknown
  try {
    review = parseAnswer(Buffer.from(body))
  } catch {
    // Attack: the parser's message quotes the text, and the text may contain the reviewed token.
    throw no('it is not JSON, or has more structure than a review')
  }
  if (!isObject(review)) throw no('it is not an object')
  if (review['kind'] !== kind || review['apiVersion'] !== apiVersion) throw no('it is of another kind')
  if (!isObject(review['status'])) throw no('it has no status')
  return review['status']
}

const userOf = (user: Json): UserInfo => {
  const username = required(user, 'username', isString)
  if (username === '') throw malformed('username')
  const uid = nullable(user, 'uid', isString)
  const extra = nullable(user, 'extra', isObject) ?? {}
  return {
    username,
    ...(uid === undefined || uid === '' ? {} : { uid }),
    groups: nullable(user, 'groups', isStrings) ?? [],
    // From entries: an assignment would lose a key that is called `__proto__`.
    extra: Object.fromEntries(Object.keys(extra).map((key) => [key, nullable(extra, key, isStrings) ?? []])),
  }
}

type Is<Value> = (value: unknown) => value is Value

/** @throws {NotAReview} if the field has another type */
const optional = <Value>(object: Json, field: string, is: Is<Value>): Value | undefined => {
  const value = Object.hasOwn(object, field) ? object[field] : undefined
  if (value === undefined || is(value)) return value
  throw malformed(field)
}
/** Go writes null for an empty list or map. */
const nullable = <Value>(object: Json, field: string, is: Is<Value>): Value | undefined =>
  Object.hasOwn(object, field) && object[field] === null ? undefined : optional(object, field, is)
const required = <Value>(object: Json, field: string, is: Is<Value>): Value => {
  const value = optional(object, field, is)
  if (value === undefined) throw malformed(field)
  return value
}

const isBoolean: Is<boolean> = (value) => typeof value === 'boolean'
const isString: Is<string> = (value) => typeof value === 'string'
const isStrings: Is<readonly string[]> = (value) =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

// Attack: keys of `extra` are foreign text. So the message names only fields of the API.
const malformed = (field: string) =>
  new NotAReview(`its review has no valid ${fields.has(field) ? field : 'value in extra'}`)
const fields: ReadonlySet<string> = new Set(
  'authenticated error audiences user username uid groups extra allowed denied reason evaluationError'.split(
    ' ',
  ),
)

/**
 * The only place that turns foreign JSON into a review. Whatever is not exactly the review that was asked for is no answer at all:
 * neither a yes, nor a no that would be remembered.
 *
 * Attack: a web server, a captive portal or a misconfigured router in the API server's place answers 200 to everything. Its words
 * must not log people out, and must not make the proxy ready.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
 */
import type { UserInfo } from '../access/identity.ts'
import { parseAnswer } from '../oci/json-bounds.ts'

/** Somebody answered, and it is not what was asked for. The message holds nothing of what was answered. */
export class NotAReview extends Error {
  override readonly name = 'NotAReview'
}

export type TokenAnswer =
  | { readonly authenticated: true; readonly user: UserInfo; readonly audiences: readonly string[] }
  /** `error` is the API server's own word, and may be anything. */
  | { readonly authenticated: false; readonly error: string | undefined }

export interface AccessAnswer {
  readonly allowed: boolean
}

/** @param status of HTTP. @throws {NotAReview} */
export const readTokenReview = (status: number, body: string): TokenAnswer => {
  const review = statusOf(status, body, 'authentication.k8s.io/v1', 'TokenReview')
  // Go leaves out what is false or empty.
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
  // "No opinion" is neither. An outspoken no beside a yes is a no.
  return { allowed: allowed && !denied }
}

type Json = Readonly<Record<string, unknown>>

const statusOf = (status: number, body: string, apiVersion: string, kind: string): Json => {
  const no = (why: string) => new NotAReview(`it answered ${status} with what is no ${kind}: ${why}`)
  // 201 is the API server's; some gateways before it make 200 of that.
  if (status !== 201 && status !== 200) throw no('that status is not of a review')
  let review: unknown
  try {
    review = parseAnswer(Buffer.from(body))
  } catch {
    // Attack: the parser's message quotes the text, and the text may echo the token that was asked about.
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
    // As entries: an assignment would lose a key that is called `__proto__`.
    extra: Object.fromEntries(Object.keys(extra).map((key) => [key, nullable(extra, key, isStrings) ?? []])),
  }
}

type Is<Value> = (value: unknown) => value is Value

/** @throws {NotAReview} where it is there, and of another type */
const optional = <Value>(object: Json, field: string, is: Is<Value>): Value | undefined => {
  const value = Object.hasOwn(object, field) ? object[field] : undefined
  if (value === undefined || is(value)) return value
  throw malformed(field)
}
/** As Go writes an empty list or map. */
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

// Keys of `extra` are foreign: only those that we know ourselves are named.
const malformed = (field: string) =>
  new NotAReview(`its review has no usable ${known.has(field) ? field : 'value in extra'}`)
const known: ReadonlySet<string> = new Set(
  'authenticated error audiences user username uid groups extra allowed denied reason evaluationError'.split(
    ' ',
  ),
)

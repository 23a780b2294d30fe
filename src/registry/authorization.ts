/**
 * identity x reference -> go on, or DENIED. The reference is parsed here, once, and everything after works on the parsed one.
 */
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { ShadowDecision, EvaluateShadow } from '../audit/shadow.ts'
import type { Identity } from '../access/identity.ts'
import type { Decision, Policy } from '../access/policy.ts'
import { RegistryError, unavailable } from '../oci/errors.ts'
import {
  parseDigest,
  parseReference,
  parseRepository,
  type Digest,
  type Reference,
  type Repository,
  type TagOwnerOf,
} from '../oci/reference.ts'
import { beforeDeadline } from './decision-deadline.ts'
import type { DenialMessage } from './denial.ts'

export interface AuthorizationOptions {
  readonly policy: Policy
  /** `openshift/ci` */
  readonly monorepo: string
  readonly ownerOf: TagOwnerOf
  readonly denied: DenialMessage
  readonly observe: (decision: Decision, identity: Identity) => void
  /** In audit mode: the rules that are not enforced yet. */
  readonly evaluateShadow?: EvaluateShadow | undefined
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What is asked for, once its route has parsed it. */
    reference: Reference | null
    repository: Repository | null
    /** What was decided about it; null while nothing was. */
    decision: Decision | null
    /** What other rules say about it, once they do; null where none are asked. */
    beside: Promise<ShadowDecision> | null
  }
}

/** The parameters of every route that names a repository. */
export interface RepositoryParams {
  readonly namespace: string
  readonly name: string
}
interface ReferenceParams extends RepositoryParams {
  readonly reference?: string
  readonly digest?: string
}

/** For routes that name a repository only: what may be seen in it is decided entry by entry. */
export const repositoryHook =
  (monorepo: string): onRequestAsyncHookHandler =>
  async (request) => {
    const { namespace, name } = request.params as RepositoryParams
    request.repository = parseRepository(namespace, name, monorepo)
  }

/** For routes that name a tag or a digest: sets `request.reference` and `request.decision`. */
export const authorizationHook = (options: AuthorizationOptions): onRequestAsyncHookHandler => {
  const { policy, denied, observe, evaluateShadow } = options
  return async (request) => {
    const reference = parseRequest(request, options)
    request.repository = reference.repository
    request.reference = reference
    const identity = identityOf(request)
    // Begun, and not waited for: it must neither delay nor fail what the rules in force allow.
    request.beside = evaluateShadow?.(identity, reference) ?? null
    const decision = await decide(request, policy, reference)
    request.decision = decision
    observe(decision, identity)
    if (decision.isPremature === true) throw premature()
    if (decision.allowed) return
    if (await beforeDeadline(request, isSoughtBesideOwn(policy, identity, reference)))
      throw notAttached(reference)
    throw denied(identity.user.username, wantedOf(reference), namedBy(reference))
  }
}

/** For what a tag of nobody has turned out to be. */
export const createAuthorizeDigest =
  ({ policy }: Pick<AuthorizationOptions, 'policy'>) =>
  async (request: FastifyRequest, digest: Digest): Promise<void> => {
    const { repository } = referenceOf(request)
    const identity = identityOf(request)
    const reference: Reference = { kind: 'digest', repository, digest }
    const decision = await decide(request, policy, reference)
    if (decision.allowed) return
    request.decision = decision
    if (decision.isPremature === true) throw premature()
    throw new RegistryError(
      'DENIED',
      `${identity.user.username} may not pull ${wantedOf(referenceOf(request))}: its image belongs to a namespace that you may not pull from; pull the image by the tag of its namespace`,
    )
  }

/** What is decided at once waits for nothing. */
const decide = async (request: FastifyRequest, policy: Policy, reference: Reference): Promise<Decision> => {
  const identity = identityOf(request)
  const decided = policy.decide(identity, reference)
  return decided instanceof Promise ? await beforeDeadline(request, decided) : decided
}

const premature = (): RegistryError =>
  unavailable(
    'whether you may pull this digest is not known yet: this proxy has just started, or cannot reach the others; pull by tag, or try again in a moment',
  )

const parseRequest = (request: FastifyRequest, { monorepo, ownerOf }: AuthorizationOptions): Reference => {
  const { namespace, name, reference: text, digest } = request.params as ReferenceParams
  const repository = parseRepository(namespace, name, monorepo)
  return text === undefined
    ? { kind: 'digest', repository, digest: parseDigest(digest ?? '') }
    : parseReference(repository, text, ownerOf)
}

/**
 * Trap 28: clients look for what hangs on an image beside its name, and take a refusal in a repository that they may pull from for an
 * error. Nothing hangs there that they may see: the same answer as where nothing hangs at all.
 */
const isSoughtBesideOwn = async (
  policy: Policy,
  identity: Identity,
  reference: Reference,
): Promise<boolean> => {
  const { repository } = reference
  if (reference.kind === 'digest' || reference.owner.by !== 'digest') return false
  if (repository.form === 'monorepo') return false
  const { namespace, name } = repository
  return (await policy.decideImageStream(identity, { namespace, name })).allowed
}

/** In the words of a tag that upstream does not have. */
const notAttached = (reference: Reference): RegistryError =>
  new RegistryError(
    'MANIFEST_UNKNOWN',
    `${wantedOf(reference)} is not in QCI: it was not promoted or not mirrored yet, or it was pruned`,
  )

export const identityOf = (request: FastifyRequest) => {
  if (request.identity === null) throw new Error('authentication runs before authorization')
  return request.identity
}

export const referenceOf = (request: FastifyRequest): Reference => {
  if (request.reference === null) throw new Error('authorization runs before the handler')
  return request.reference
}

/** The namespace that the requester has named, and no other: where else a digest is known is not theirs to learn. */
const namedBy = (reference: Reference): string | undefined => {
  if (reference.kind === 'tag' && reference.owner.by === 'image-stream')
    return reference.owner.imageStream.namespace
  return reference.repository.form === 'image-stream' ? reference.repository.namespace : undefined
}

const wantedOf = (reference: Reference): string =>
  reference.kind === 'tag' ? reference.qciTag : reference.digest

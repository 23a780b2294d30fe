/**
 * The stage after authentication: parses the reference, decides, and throws DENIED for a refusal. All later stages use the parsed
 * reference.
 */
import type { FastifyRequest, onRequestAsyncHookHandler, onRequestHookHandler } from 'fastify'
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
} from '../oci/reference.ts'
import type { PullSpecOptions } from '../oci/pull-spec.ts'
import { isImageStreamName } from '../oci/qci-tag.ts'
import { beforeDeadline, type DeadlineStart } from './decision-deadline.ts'
import type { DenialMessage } from './denial.ts'
import { identityOf, referenceOf } from './request-context.ts'
import { stageHook } from './stage-hook.ts'
import { nameUnknown } from './unknown-names.ts'

export interface AuthorizationOptions extends PullSpecOptions {
  readonly policy: Policy
  readonly denied: DenialMessage
  readonly observe: (decision: Decision, identity: Identity) => void
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

/** For routes of a repository without a reference, such as tag lists: each entry is decided by itself. */
export const repositoryHook =
  (options: PullSpecOptions): onRequestAsyncHookHandler =>
  async (request) => {
    const { namespace, name } = request.params as RepositoryParams
    request.repository = parseKnownRepository(namespace, name, undefined, options)
  }

/** For routes that name a tag or a digest: sets `request.reference` and `request.decision`. */
export const authorizationHook = (options: AuthorizationOptions, content?: 'blob'): onRequestHookHandler => {
  const authorize = createAuthorize(options)
  return stageHook((request) => authorize(request, parseRequest(request, options, content)))
}

/**
 * Decides about a reference for `request.identity`: sets `request.reference` and `request.decision`.
 * @returns undefined if a cached review allows it
 * @throws {RegistryError} DENIED, or UNAVAILABLE if it is not known yet
 */
export const createAuthorize = (options: Pick<AuthorizationOptions, 'policy' | 'denied' | 'observe'>) => {
  const { policy, observe } = options
  return (request: FastifyRequest, reference: Reference): Promise<void> | undefined => {
    request.repository = reference.repository
    request.reference = reference
    const identity = identityOf(request)
    const conclude = (decision: Decision): Promise<void> | undefined => {
      request.decision = decision
      observe(decision, identity)
      if (decision.isPremature === true) throw premature()
      return decision.allowed ? undefined : refuse(request, reference, options)
    }
    const decided = decide(policy, identity, reference, request)
    return decided instanceof Promise ? decided.then(conclude) : conclude(decided)
  }
}

const refuse = async (
  request: FastifyRequest,
  reference: Reference,
  { policy, denied }: Pick<AuthorizationOptions, 'policy' | 'denied'>,
): Promise<never> => {
  const identity = identityOf(request)
  const isNamespaceOpen = await beforeDeadline(request, mayPullFromNamed(policy, identity, reference))
  if (isNamespaceOpen === true && isAttached(reference)) throw notAttached(reference)
  throw denied({ identity, wanted: wantedOf(reference), namespace: namedBy(reference), isNamespaceOpen })
}

/** For the digest of a tag that belongs to no image stream, once upstream has resolved the tag. */
export const createAuthorizeDigest =
  ({ policy }: Pick<AuthorizationOptions, 'policy'>) =>
  async (request: FastifyRequest, digest: Digest): Promise<void> => {
    const { repository } = referenceOf(request)
    const identity = identityOf(request)
    const reference: Reference = { kind: 'digest', repository, digest }
    // The deadline begins now: the time that upstream took for the tag does not count.
    const decision = await decide(policy, identity, reference, { receivedAt: performance.now() })
    if (decision.allowed) return
    request.decision = decision
    if (decision.isPremature === true) throw premature()
    const tag = referenceOf(request)
    if (isAttached(tag)) throw notAttached(tag)
    throw new RegistryError(
      'DENIED',
      `${identity.user.username} may not pull ${wantedOf(tag)}: its image belongs to a namespace that you may not pull from; pull the image by the tag of its namespace`,
    )
  }

/** @param since the moment from which the deadline counts */
const decide = (
  policy: Policy,
  identity: Identity,
  reference: Reference,
  since: DeadlineStart,
): Decision | Promise<Decision> => {
  const decided = policy.decide(identity, reference)
  return decided instanceof Promise ? beforeDeadline(since, decided) : decided
}

const premature = (): RegistryError =>
  unavailable(
    'whether you may pull this digest is not known yet: this proxy has just started, or cannot read the tags of QCI, or cannot reach the others; pull by tag, or try again in a moment',
  )

const parseRequest = (
  request: FastifyRequest,
  options: AuthorizationOptions,
  content: 'blob' | undefined,
): Reference => {
  const { namespace, name, reference: text, digest = '' } = request.params as ReferenceParams
  const repository = parseKnownRepository(namespace, name, text ?? digest, options)
  return text === undefined
    ? { kind: 'digest', repository, digest: parseDigest(digest), ...(content && { content }) }
    : parseReference(repository, text, options.ownerOf)
}

/** @throws {RegistryError} NAME_UNKNOWN for a well-formed name that QCI cannot have; NAME_INVALID for others */
const parseKnownRepository = (
  namespace: string,
  name: string,
  reference: string | undefined,
  options: PullSpecOptions,
): Repository => {
  try {
    return parseRepository(namespace, name, options.monorepo)
  } catch (error) {
    const isWellFormed = isImageStreamName(namespace) && isImageStreamName(name)
    throw isWellFormed ? nameUnknown([namespace, name], reference, options) : error
  }
}

/**
 * Whether the requester may pull from the namespace that it wrote before a digest, or before a tag that stands for one. Undefined for other
 * references.
 */
export const mayPullFromNamed = async (
  policy: Policy,
  identity: Identity,
  reference: Reference,
): Promise<boolean | undefined> => {
  const { repository } = reference
  const isByDigest = reference.kind === 'digest' || isAttached(reference)
  if (!isByDigest || repository.form === 'monorepo') return undefined
  const { namespace, name } = repository
  return (await policy.decideImageStream(identity, { namespace, name })).allowed
}

/**
 * Trap 28: clients look for signatures and attestations of an image under tags beside it, and treat 403 in a repository that they may pull
 * from as an error. There is nothing here that they may see, so the proxy answers as if nothing were attached.
 */
const isAttached = (reference: Reference): boolean =>
  reference.kind === 'tag' && reference.owner.by === 'digest'

/** The message is the same as for a tag that upstream does not have. */
const notAttached = (reference: Reference): RegistryError =>
  new RegistryError(
    'MANIFEST_UNKNOWN',
    `${wantedOf(reference)} is not in QCI: it was not promoted or not mirrored yet, or it was pruned`,
  )

/** The namespace in the client's own request. In which other namespaces a digest is known is a secret. */
const namedBy = (reference: Reference): string | undefined => {
  if (reference.kind === 'tag' && reference.owner.by === 'image-stream')
    return reference.owner.imageStream.namespace
  return reference.repository.form === 'image-stream' ? reference.repository.namespace : undefined
}

const wantedOf = (reference: Reference): string =>
  reference.kind === 'tag' ? reference.qciTag : reference.digest

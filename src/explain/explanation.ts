/**
 * The answer to "may I pull this image, and what do I do next?": of the proxy as JSON, of the command line as text.
 */
import type { Decision } from '../access/decision.ts'
import type { IdentityKind } from '../access/identity.ts'

export interface Explanation {
  /** As the person wrote it, shortened and printable. */
  readonly image: string
  /** The pull spec to use: `quay-proxy.ci.openshift.org/ocp/4.5:base`. */
  readonly pullSpec: string
  /** Undefined if nobody logged in. */
  readonly identity?: { readonly username: string; readonly kind: IdentityKind }
  readonly reading: Reading
  readonly access: 'allowed' | 'denied' | 'unknown'
  /** The rule that allowed it. */
  readonly rule?: Decision['rule']
  /** The reviews to show: of the namespace that the person wrote, and of QCI-wide access. */
  readonly reviews: readonly ReviewResult[]
  /** Whether upstream has the image. Undefined if the person may not pull it: then it looks the same whether the image exists or not. */
  readonly inQci?: 'yes' | 'no' | 'unknown'
  /** The digest of the image in QCI. */
  readonly digest?: string
  /**
   * The state of the image in the mirror. Undefined without a mirror, if the mirror does not have the image, or if the requester may not
   * know.
   */
  readonly mirror?: { readonly state: string; readonly explanation: string }
  /** Sentences. */
  readonly reason: string
  /** The one next step. */
  readonly next: string
}

/** How the proxy reads the pull spec. */
export interface Reading {
  readonly qciTag?: string
  readonly digest?: string
  /** Undefined: only QCI-wide access opens the image, or the namespaces where the digest was seen decide. */
  readonly namespace?: string
  /** `ocp/4.5`. Undefined if the tag can be split in more than one way. */
  readonly imageStream?: string
  /** Whether QCI-wide access does not open the namespace. Undefined if the digest decides. */
  readonly restricted?: boolean
}

export interface ReviewResult {
  /** The role whose access was reviewed. `qci-image-puller` opens all namespaces that are not restricted. */
  readonly role: 'qci-image-puller' | 'system:image-puller'
  readonly namespace: string
  /** The name of the image stream, if the review has one. */
  readonly name?: string
  readonly answer: 'yes' | 'no' | 'unknown'
  /** The binding that allows it, for reviews of manifests. */
  readonly because?: string
}

/** 0: may pull; 1: may not; 2: unknown. */
export const exitCodeOf = ({ access }: Pick<Explanation, 'access'>): 0 | 1 | 2 =>
  (({ allowed: 0, denied: 1, unknown: 2 }) as const)[access]

/** First the pull command to use, last what to do next. @param further rows to add, such as where the login came from */
export const explanationText = (
  explanation: Explanation,
  further: readonly (readonly [name: string, value: string | undefined])[] = [],
): string =>
  [
    `podman pull ${explanation.pullSpec}`,
    ...rowsOf(explanation, further)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `  ${name.padEnd(14)}${value}`),
    '',
    explanation.reason,
    `Next: ${explanation.next}`,
  ].join('\n')

export type Row = readonly [name: string, value: string | undefined]

/** The facts, for a list: the name of each, and its value if it has one. */
export const rowsOf = (
  { identity, reading, reviews, inQci, digest, mirror }: Explanation,
  further: readonly Row[] = [],
): readonly Row[] => [
  ['you are', identity === undefined ? undefined : `${identity.username} (${identity.kind})`],
  ...further,
  ['QCI tag', reading.qciTag],
  ['digest', reading.digest],
  ['image stream', reading.imageStream],
  ['namespace', namespaceOf(reading)],
  ['restricted', reading.restricted === undefined ? undefined : reading.restricted ? restricted : 'no'],
  ...reviews.map((review): Row => ['review', reviewText(review)]),
  ['in QCI', inQci === 'yes' && digest !== undefined ? `yes, ${digest}` : inQci],
  ['mirror', mirror === undefined ? undefined : `${mirror.state}: ${mirror.explanation}`],
]

const restricted = 'yes: QCI-wide access does not open it'

const namespaceOf = ({ namespace, digest, restricted: isRestricted }: Reading): string =>
  namespace ??
  (digest === undefined && isRestricted !== undefined
    ? 'none: no namespace owns the tag, so only QCI-wide access opens it'
    : 'those that the digest was seen in')

const reviewText = ({ role, namespace, name, answer, because }: ReviewResult): string =>
  `${answer}: ${role} in namespace ${namespace}${name === undefined ? '' : `, image stream ${name}`}${
    because === undefined ? '' : ` (${because})`
  }`

/** Facts, digests and waiting, for the tests of shared state. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Digest, QciTag } from '../../src/oci/reference.ts'
import type { Fact } from '../../src/digests/facts.ts'
import type { IndexState } from '../../src/digests/restricted-index/index-state.ts'
import type { SharedState, SharedStateOptions } from '../../src/shared-state/shared-state.ts'
import { createStoreState, type StoreStateOptions } from '../../src/shared-state/store-state.ts'

export const digestOf = (text: string): Digest =>
  `sha256:${createHash('sha256').update(text).digest('hex')}` as Digest

export const tagFact = (name: string, isRestricted = false, seenAt = Date.now()): Fact => ({
  kind: 'tag',
  tag: `${isRestricted ? 'ocp-priv' : 'ocp'}_${name}` as QciTag,
  digest: digestOf(name),
  seenAt,
  isRestricted,
})

export const namesFact = (name: string, children = 2, isRestricted = false): Fact => ({
  kind: 'names',
  manifest: digestOf(name),
  manifests: [],
  blobs: Array.from({ length: children }, (_, index) => digestOf(`${name} ${index}`)),
  isRestricted,
})

/** What two facts that say the same have in common. */
export const keyOf = (fact: Fact): string =>
  fact.kind === 'tag'
    ? `${fact.tag}@${fact.digest} ${fact.isRestricted}`
    : `${fact.manifest}: ${fact.manifests.join()} ${fact.blobs.join()} ${fact.isRestricted}`

export const until = async (isSo: () => unknown, what: string, ms = 15_000): Promise<void> => {
  const deadline = performance.now() + ms
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`it never came about that ${what}`)
    await sleep(5)
  }
}

export interface Replica {
  readonly state: SharedState
  /** What this replica knows, by `keyOf`. */
  readonly known: Map<string, Fact>
  readonly changes: string[]
  readonly warnings: string[]
  readonly learn: (...facts: Fact[]) => Promise<void>
  readonly knows: (fact: Fact) => boolean
}

/** A replica that keeps what it learns, as the proxy does. */
export const replicaOf = (
  create: (options: SharedStateOptions) => SharedState,
  options: Partial<SharedStateOptions> = {},
): Replica => {
  const known = new Map<string, Fact>()
  const changes: string[] = []
  const warnings: string[] = []
  const keep = (facts: readonly Fact[]) => {
    for (const fact of facts) known.set(keyOf(fact), fact)
  }
  const state = create({
    apply: keep,
    snapshot: () => known.values(),
    onChange: (status) =>
      changes.push(`${status.state}${status.reason === undefined ? '' : `: ${status.reason}`}`),
    onWarning: (message) => warnings.push(message),
    ...options,
  })
  return {
    state,
    known,
    changes,
    warnings,
    learn: async (...facts) => {
      keep(facts)
      await state.facts.publish(facts)
    },
    knows: (fact) => known.has(keyOf(fact)),
  }
}

export const storeReplica = (store: StoreStateOptions['store'], options: Partial<StoreStateOptions> = {}) =>
  replicaOf((given) => createStoreState({ ...given, store, beatMs: 100, ...options }), options)

export const isReady = ({ state }: Replica): boolean => {
  const { state: now, isLoaded } = state.status()
  return now === 'connected' && isLoaded
}

/** Started, and closed when the test is over. */
export const startedReplica = async (
  test: Test,
  store: StoreStateOptions['store'],
  options: Partial<StoreStateOptions> = {},
): Promise<Replica> => {
  const replica = storeReplica(store, options)
  test.teardown(async () => await replica.state.close())
  await replica.state.start()
  return replica
}

/** The same, once it knows what the others know. */
export const joinedReplica = async (...args: Parameters<typeof startedReplica>): Promise<Replica> => {
  const replica = await startedReplica(...args)
  await until(() => isReady(replica), 'the replica is ready')
  return replica
}

export const someIndex: IndexState = {
  liveCompleteAt: 1000,
  datedCompleteAt: undefined,
  datedSeenUpTo: '20260101000000_prune_x',
  namespaces: ['ocp-priv'],
}

/** Makes a certificate that vouches for itself, for so many names (`DNS:localhost`). @returns the paths of it and of its key */
export const makeCertificate = (
  folder: string,
  names: string,
): { readonly cert: string; readonly key: string } => {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const command = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=store'
  const files = ['-addext', `subjectAltName=${names}`, '-keyout', key, '-out', cert]
  execFileSync('openssl', [...command.split(' '), ...files], { stdio: 'ignore' })
  return { cert, key }
}

/**
 * Composes explanations: the advice for this installation, and the state of the services that the proxy depends on.
 */
import type { Config } from '../config/config.ts'
import { createGrantAdvice } from '../explain/grant-advice.ts'
import { createLoginAdvice } from '../registry/authentication/login-advice.ts'
import type { ExplanationOptions } from '../server/server.ts'
import type { Storage } from '../storage/storage.ts'
import { PartHealth, type PartState } from '../telemetry/part-states.ts'
import type { ComposedMirror } from './compose-mirror.ts'
import type { ComposedS3 } from './compose-s3.ts'
import { contentsOf } from './compose-storage.ts'

export interface ComposeExplanationOptions {
  readonly config: Config
  readonly access: {
    readonly isRestricted: (namespace: string) => boolean
    /** Counts as reached after it has answered the review of the warm-up. */
    readonly apiServer: { readonly reached: () => boolean }
  }
  readonly health: Health
  /** Undefined without `--cache-dir`. */
  readonly storage: Storage | undefined
  /** Undefined without `--cache-s3`. */
  readonly s3: ComposedS3 | undefined
  /** Undefined without `--mirror-url`. */
  readonly mirror: Pick<ComposedMirror, 'state' | 'describeImage'> | undefined
}

/** The states of the services that the proxy sends requests to. */
export interface Health {
  readonly apiServer: PartHealth
  readonly upstream: PartHealth
}

export const createHealth = ({ upstream }: Pick<Config, 'upstream'>): Health => ({
  apiServer: new PartHealth('API server of app.ci'),
  upstream: new PartHealth(upstream.host),
})

export const composeExplanation = ({
  config,
  access: { isRestricted, apiServer },
  health,
  storage,
  s3,
  mirror,
}: ComposeExplanationOptions): ExplanationOptions => {
  const { exposed, clusterUrl, grantAdvice, qciNamespace, authorization, logins } = config
  return {
    exposed,
    loginAdvice: createLoginAdvice({ host: exposed.host, clusterUrl }),
    grantAdvice: createGrantAdvice(grantAdvice, qciNamespace),
    isRestricted,
    qciNamespace,
    isAudit: authorization === 'audit',
    robotsOnly: logins === 'robots',
    describeImage: mirror?.describeImage,
    parts: () => [
      ...(logins === 'robots' ? [] : [apiServerState(health.apiServer, apiServer.reached())]),
      health.upstream.state(),
      ...(storage === undefined ? [] : [cacheState(storage)]),
      ...(s3 === undefined ? [] : [s3State(s3)]),
      ...(mirror === undefined ? [] : [mirror.state.current()]),
    ],
  }
}

const apiServerState = (health: PartHealth, isReached: boolean): PartState => {
  const state = health.state()
  return state.state === 'unknown' && isReached ? { ...state, state: 'works' } : state
}

const cacheState = (storage: Storage): PartState => ({
  name: 'cache',
  state: storage.isStuck() ? 'fails' : 'works',
  detail: contentsOf(storage),
})

/** The proxy serves without this tier while its circuit is open. */
const s3State = ({ tier }: ComposedS3): PartState => {
  const { isOpen, uploads } = tier.stats()
  return {
    name: 'cache in S3',
    state: isOpen ? 'fails' : 'works',
    detail: `${isOpen ? 'bypassed, ' : ''}${uploads} ${uploads === 1 ? 'upload' : 'uploads'} pending`,
  }
}

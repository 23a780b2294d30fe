/**
 * Composes what explanations need: advice in the words of this installation, and the state of what the proxy depends on.
 */
import type { Config } from '../config/config.ts'
import { createGrantAdvice } from '../explain/grant-advice.ts'
import { createLoginAdvice } from '../registry/authentication/login-advice.ts'
import type { ExplanationOptions } from '../server/server.ts'
import type { Storage } from '../storage/storage.ts'
import { PartHealth, type PartState } from '../telemetry/part-states.ts'
import { contentsOf } from './compose-storage.ts'

export interface ComposeExplanationOptions {
  readonly config: Config
  readonly access: {
    readonly isRestricted: (namespace: string) => boolean
    /** It has been reached once it has answered the review of the warm-up. */
    readonly apiServer: { readonly reached: () => boolean }
  }
  readonly health: Health
  /** Undefined without `--cache-dir`. */
  readonly storage: Storage | undefined
}

/** Of the services that the proxy sends requests to. */
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
    parts: () => [
      ...(logins === 'robots' ? [] : [apiServerState(health.apiServer, apiServer.reached())]),
      health.upstream.state(),
      ...(storage === undefined ? [] : [cacheState(storage)]),
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

/**
 * Every flag of `serve`, under the key that its value has in the Config, in the order of the help text.
 */
import type { ValuesOf } from './flag-kinds.ts'
import { accessFlags } from './flags/access-flags.ts'
import { connectionFlags } from './flags/connection-flags.ts'
import { serverFlags } from './flags/server-flags.ts'
import { upstreamFlags } from './flags/upstream-flags.ts'

export const flags = { ...serverFlags, ...upstreamFlags, ...accessFlags, ...connectionFlags } as const

export type FlagKey = keyof typeof flags
export type FlagValues = ValuesOf<typeof flags>

/** Flags of qci-appci under their old names. */
export const aliases: Readonly<Record<string, FlagKey>> = { gracePeriod: 'gracePeriodMs' }

export interface DeprecatedFlag {
  /** Why it has no effect any more. */
  readonly reason: string
  readonly form: 'value' | 'boolean'
}

/** Flags of qci-appci that have no effect. They are accepted, so that its Deployment starts this program. */
export const deprecatedFlags: Readonly<Record<string, DeprecatedFlag>> = {
  interval: { reason: 'robot tokens are renewed before their own expiry', form: 'value' },
  'ignore-sar-check': {
    reason: 'every pull is decided by RBAC: bind system:image-puller in a namespace to open it',
    form: 'boolean',
  },
}

/** `listen-addr` -> `QUAY_PROXY_LISTEN_ADDR` */
export const environmentName = (name: string): string =>
  `QUAY_PROXY_${name.toUpperCase().replaceAll('-', '_')}`

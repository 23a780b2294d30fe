/**
 * What the client of a registry is given, and what each request has.
 */
import type { Clock } from '../../concurrency/clock.ts'
import type { Rate } from '../../concurrency/token-bucket.ts'
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import type { ConnectionRequest } from './registry-connection.ts'
import type { Scope } from './tokens.ts'
import type { WritePermit } from './write-permit.ts'

export interface RegistryRequest extends ConnectionRequest {
  readonly scopes: readonly Scope[]
  /** The repository whose robot logs in: `openshift/ci`. */
  readonly repository: string
  /** The image that the request is for. Images take turns. */
  readonly image: string
  /**
   * False if the caller must check the registry before the request is sent again, even after a 429: another writer may have changed it
   * meanwhile.
   */
  readonly isRepeatable: boolean
  /** `background`: sent after all other requests, so that comparisons do not delay copies. */
  readonly priority?: 'background' | undefined
}

export interface RegistryClientOptions {
  readonly origin: URL
  /** The robot of a repository. One robot may push to QCI, and another one may read a source. Undefined: anonymous. @throws {Error} */
  readonly credentialOf?: (repository: string) => RobotCredential | undefined
  /** Every request other than GET and HEAD needs it. */
  readonly permit: WritePermit
  /** Requests per second, of all methods together. */
  readonly rate: Rate
  readonly maxInFlight?: number
  /** Requests that wait for their turn. */
  readonly maxWaiting?: number
  readonly maxTries?: number
  readonly clock?: Clock
  readonly random?: () => number
  /** The registry has answered 429: no request is sent for so many milliseconds more. */
  readonly observePause?: (ms: number) => void
  /** PEM, in addition to the well-known authorities. */
  readonly ca?: string
}

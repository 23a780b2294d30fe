/**
 * What a registry did not do, as a sentence for the person who reads why an image is not there yet.
 */

/**
 * `transient`: the same request may succeed later (5xx, a broken connection). `limited`: 429. `refused`: somebody has to change a right, a
 * quota or an image first. `broken`: bytes that do not have their digest, or an answer that no registry gives.
 */
export type FailureKind = 'transient' | 'limited' | 'refused' | 'broken'

export class RegistryFailure extends Error {
  override readonly name = 'RegistryFailure'
  readonly kind: FailureKind

  /** `message`: a sentence without its end, which names the registry. */
  constructor(kind: FailureKind, message: string, cause?: unknown) {
    super(message, { cause })
    this.kind = kind
  }
}

/** The write permit is gone: another replica may write now. */
export class PermitLost extends Error {
  override readonly name = 'PermitLost'

  constructor() {
    super('this replica does not hold the lease any more')
  }
}

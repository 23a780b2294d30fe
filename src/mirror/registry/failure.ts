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

/** A manifest that no registry has to take as it is. The watch of all ImageStreams leaves such images out, as the former program did. */
export class UnsuitableManifest extends RegistryFailure {
  /** What it is. */
  readonly form: 'manifest v1' | 'invalid manifest v2'

  constructor(form: UnsuitableManifest['form'], message: string) {
    super('refused', message)
    this.form = form
  }
}

/** The write permit is gone: another replica may write now. */
export class PermitLost extends Error {
  override readonly name = 'PermitLost'

  constructor() {
    super('this replica does not hold the lease any more')
  }
}

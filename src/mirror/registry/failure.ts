/**
 * The failure of a registry, with a sentence for people who want to know why an image is not copied yet.
 */

/**
 * `transient`: the same request may succeed later (5xx, a broken connection). `limited`: 429. `refused`: a person has to change a right, a
 * quota or an image first. `broken`: bytes that do not match their digest, or an answer that is not valid for a registry.
 */
export type FailureKind = 'transient' | 'limited' | 'refused' | 'broken'

export class RegistryFailure extends Error {
  override readonly name = 'RegistryFailure'
  readonly kind: FailureKind

  /** `message`: a sentence without its full stop that names the registry. */
  constructor(kind: FailureKind, message: string, cause?: unknown) {
    super(message, { cause })
    this.kind = kind
  }
}

/** A manifest that no registry has to take as it is. The watch of all ImageStreams leaves such images out, as the former program did. */
export class UnsuitableManifest extends RegistryFailure {
  /** The kind of the manifest. */
  readonly form: 'manifest v1' | 'invalid manifest v2'

  constructor(form: UnsuitableManifest['form'], message: string) {
    super('refused', message)
    this.form = form
  }
}

/** This replica has lost the write permit: another replica may write now. */
export class PermitLost extends Error {
  override readonly name = 'PermitLost'

  constructor() {
    super('this replica does not hold the lease any more')
  }
}

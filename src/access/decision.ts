/**
 * The result of an access decision.
 */
export interface Decision {
  readonly allowed: boolean
  /** The rule that allowed it; `none` for a refusal. */
  readonly rule: 'robot' | 'qci-wide' | 'image-puller' | 'service-account' | 'none'
  /** The owner of the image, if it is known. Not for the requester: see `AccessRequirement`. */
  readonly namespace?: string
  /** The namespace whose review said yes. */
  readonly grantedBy?: string
  /** Whether a review was sent for this decision, or it is based on a cached review, or on one in its grace. */
  readonly source: 'live' | 'cached' | 'grace' | 'none'
  /** Refused for now, because it is not known yet whether the image is restricted, or which facts other replicas have. */
  readonly isPremature?: true
}

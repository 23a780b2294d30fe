/**
 * Composes the way to the mirror: its queue at `/mirrors`, what explanations tell about it, and its state on the page.
 */
import type { PathReviews } from '../access/decision.ts'
import type { Config } from '../config/config.ts'
import { createDescribeImage, type DescribeImage } from '../page/mirrors/describe-image.ts'
import { MirrorOrigin } from '../page/mirrors/mirror-origin.ts'
import { createMirrorRights, type MirrorRights } from '../page/mirrors/mirror-rights.ts'
import { MirrorState } from '../page/mirrors/mirror-state.ts'

export interface ComposedMirror {
  readonly mirror: MirrorOrigin
  readonly rights: MirrorRights
  readonly describeImage: DescribeImage
  readonly state: MirrorState
}

/** Undefined without `--mirror-url`. */
export const composeMirror = (
  { mirrorUrl }: Pick<Config, 'mirrorUrl'>,
  reviews: PathReviews,
): ComposedMirror | undefined => {
  if (mirrorUrl === undefined) return undefined
  const mirror = new MirrorOrigin({ url: mirrorUrl })
  const rights = createMirrorRights(reviews)
  return {
    mirror,
    rights,
    describeImage: createDescribeImage({ mirror, rights }),
    state: new MirrorState(mirror),
  }
}

/**
 * Composes the way to the mirror: its queue at `/mirrors`, what explanations tell about it, and its state on the page.
 */
import type { PathReviews } from '../access/reviews.ts'
import type { Config } from '../config/config.ts'
import { createDescribeImage, type DescribeImage } from '../page/mirror-queue/describe-image.ts'
import { MirrorOrigin } from '../page/mirror-queue/mirror-origin.ts'
import { createMirrorRights, type MirrorRights } from '../page/mirror-queue/mirror-rights.ts'
import { MirrorState } from '../page/mirror-queue/mirror-state.ts'

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

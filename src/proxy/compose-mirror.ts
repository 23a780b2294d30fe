/**
 * Composes the way to the mirror, for its queue at `/mirrors`.
 */
import type { PathReviews } from '../access/decision.ts'
import type { Config } from '../config/config.ts'
import { MirrorOrigin } from '../page/mirrors/mirror-origin.ts'

export interface ComposedMirror extends PathReviews {
  readonly mirror: MirrorOrigin
}

/** Undefined without `--mirror-url`. */
export const composeMirror = (
  { mirrorUrl }: Pick<Config, 'mirrorUrl'>,
  { reviewPath }: PathReviews,
): ComposedMirror | undefined =>
  mirrorUrl === undefined ? undefined : { mirror: new MirrorOrigin({ url: mirrorUrl }), reviewPath }

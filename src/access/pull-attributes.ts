/**
 * The right to pull, in the terms of RBAC.
 */
import type { ImageStream } from '../oci/reference.ts'

/** `get imagestreams/layers` in the split form, which matches every rule that the joined form matches, and `*\/layers` too. */
export const pullAttributes = ({ namespace, name }: ImageStream) => ({
  verb: 'get',
  group: 'image.openshift.io',
  resource: 'imagestreams',
  subresource: 'layers',
  namespace,
  ...(name === undefined ? {} : { name }),
})

/**
 * Compares an image of the watch of all ImageStreams. Promotions write into QCI as well, and some of them only into QCI. So an older image
 * of app.ci must not replace the image in QCI. An image whose age nobody knows may be newer, so it stays as well, unless it is the former
 * image of the ImageStream tag.
 */
import type { Digest } from '../../oci/digest.ts'
import { builtAt } from '../copy/built-at.ts'
import type { ComparedImage } from '../copy/compare.ts'
import type { Finding } from './findings.ts'

/** Milliseconds. */
const staleMs = 24 * 3_600_000

const cure = 'name the image in supplementalCIImages to replace it'
const noBuildTime = `the image in QCI does not say when it was built, so it may be newer than that of the ImageStream tag: ${cure}`
const noTagTime = `app.ci does not say when the ImageStream tag got its image, so the image in QCI may be newer: ${cure}`

/**
 * @param common the digest that QCI last had in common with app.ci, if it is known
 * @throws {RegistryFailure} if the image in QCI cannot be read
 */
export const judgeDistributed = async (
  finding: Finding,
  { target }: ComparedImage,
  common?: Digest,
): Promise<Finding> => {
  const { image, state } = finding
  if (image.distributed === undefined || state !== 'different' || finding.replaced === undefined)
    return finding
  const { setAt } = image.distributed
  const built = await builtAt(target, finding.replaced)
  if (built === undefined || setAt === undefined)
    return finding.replaced === common
      ? finding
      : { image, state: 'left out', reason: built === undefined ? noBuildTime : noTagTime }
  if (built <= setAt) return { ...finding, isStale: built + staleMs < setAt }
  const [inQci, onAppCi] = [built, setAt].map((at) => new Date(at).toISOString())
  const reason = `the image in QCI was built at ${inQci}, after the ImageStream tag got its image at ${onAppCi}`
  return { image, state: 'left out', reason }
}

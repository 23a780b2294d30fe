/**
 * Compares an image of the watch of all ImageStreams. Promotions write into QCI as well, and some of them only into QCI. So an older image
 * of app.ci must not replace the image in QCI.
 */
import { builtAt } from '../copy/built-at.ts'
import type { ComparedImage } from '../copy/compare.ts'
import type { Finding } from './findings.ts'

/** Milliseconds. */
const staleMs = 24 * 3_600_000

/** @throws {RegistryFailure} if the image in QCI cannot be read */
export const judgeDistributed = async (finding: Finding, { target }: ComparedImage): Promise<Finding> => {
  const { image, state } = finding
  if (image.distributed === undefined || state !== 'different' || finding.replaced === undefined)
    return finding
  const { setAt } = image.distributed
  const built = await builtAt(target, finding.replaced)
  if (built === undefined || setAt === undefined) return finding
  if (built <= setAt) return { ...finding, isStale: built + staleMs < setAt }
  const [inQci, onAppCi] = [built, setAt].map((at) => new Date(at).toISOString())
  const reason = `the image in QCI was built at ${inQci}, after the ImageStream tag got its image at ${onAppCi}`
  return { image, state: 'left out', reason }
}

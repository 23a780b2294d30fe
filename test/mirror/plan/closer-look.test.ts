import t from 'tap'
import { CloserLook } from '../../../src/mirror/plan/closer-look.ts'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import type { Finding } from '../../../src/mirror/plan/findings.ts'
import { RegistryFailure, UnsuitableManifest } from '../../../src/mirror/registry/failure.ts'
import { putImage, tag } from '../../support/image-fixtures.ts'
import { float, startSides } from '../copy/sides.ts'

const imageOf = (isDistributed: boolean): DesiredImage => ({
  target: 'a/b:c',
  float,
  source: { registry: 'quay.io', repository: 'ubi9/ubi', tag: 'x', digest: undefined },
  ...(isDistributed && {
    distributed: { imageStreamTag: { namespace: 'a', name: 'b', tag: 'c' }, setAt: 0 },
  }),
})

await t.test(
  'an image of the watch that is unsuitable is left out, until it has another digest',
  async (t) => {
    const { source, target, original } = await startSides(t)
    const sides = { source, version: 'x', target, float }
    const [one, other] = [putImage(original, 'one').digest, putImage(original, 'other').digest]
    const look = new CloserLook(() => false)
    const watched = imageOf(true)
    const unsuitable = new UnsuitableManifest('manifest v1', 'it has schema 1')
    t.equal(look.leaveOut(watched, one, new RegistryFailure('refused', 'x')), undefined)
    t.equal(look.leaveOut(imageOf(false), one, unsuitable), undefined, 'somebody has named it')
    const different = (digest: typeof one): Finding => ({
      image: watched,
      state: 'different',
      digest,
      replaced: undefined,
    })
    t.match(await look.judge(different(one), sides), { state: 'different' })
    t.equal(look.leaveOut(watched, one, unsuitable), unsuitable)
    t.strictSame(await look.judge(different(one), sides), {
      image: watched,
      state: 'left out',
      reason: 'it has schema 1',
    })
    t.match(await look.judge(different(other), sides), { state: 'different' })
    look.retain((name) => name === 'a/b:c')
    t.match(await look.judge(different(one), sides), { state: 'left out' })
    look.retain(() => false)
    t.match(await look.judge(different(one), sides), { state: 'different' })
  },
)

await t.test('attachments are checked only for targets that the pattern matches', async (t) => {
  const { source, target, original, origin } = await startSides(t)
  const sides = { source, version: 'x', target, float }
  const { digest } = putImage(original, 'one')
  const same: Finding = { image: imageOf(false), state: 'same', digest }
  t.equal(await new CloserLook(() => false).judge(same, sides), same)
  t.strictSame(origin.requests, [])
  const look = new CloserLook((name) => name === 'a/b:c')
  t.equal(await look.judge(same, sides), same)
  const signature = putImage(original, 'signature')
  for (const suffix of ['sig', 'att', 'sbom'])
    tag(original, `${digest.replace(':', '-')}.${suffix}`, signature)
  t.match(await look.judge(same, sides), { ...same, hasNewAttachments: true })
  look.copied('a/b:c', digest, undefined)
  t.match(await look.judge(same, sides), { hasNewAttachments: true })
  look.copied('a/b:c', digest, [signature.digest])
  t.equal(await look.judge(same, sides), same)
  const missing: Finding = { image: imageOf(false), state: 'missing' }
  t.equal(await look.judge(missing, sides), missing)
})

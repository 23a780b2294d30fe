import t from 'tap'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import { compareAll } from '../../../src/mirror/plan/findings.ts'
import { putImage, tag } from '../../support/image-fixtures.ts'
import { startSides } from '../copy/sides.ts'

const image = (name: string): DesiredImage => ({
  target: `a/b:${name}`,
  float: `a_b_${name}`,
  source: { registry: 'quay.io', repository: 'ubi9/ubi', tag: name, digest: undefined },
})

await t.test('one image that cannot be read does not stop the others', async (t) => {
  const { source, target, original, stored, origin } = await startSides(t)
  for (const name of ['1', '3', '4']) tag(original, name, putImage(original, name))
  tag(stored, 'a_b_3', putImage(stored, '3'))
  origin.fault = ({ path }) => (path.endsWith('/4') ? { status: 403 } : undefined)
  const findings = await compareAll(
    ['1', '2', '3', '4'].map(image),
    ({ float, source: { tag: version } }) => ({ source, version: `${version}`, target, float }),
    2,
  )
  t.strictSame(
    findings.map((finding) => `${finding.image.target} ${finding.state}`),
    ['a/b:1 different', 'a/b:2 missing', 'a/b:3 same', 'a/b:4 unreadable'],
  )
  t.match(findings[3], { reason: /the manifest 4: 403$/ })
  t.strictSame(await compareAll([], () => t.fail() as never, 2), [])
})

await t.test('a mistake of the program is no finding', async (t) => {
  const broken = () => {
    throw new TypeError('x')
  }
  await t.rejects(compareAll([image('1')], broken, 2), TypeError)
  const { source, target } = await startSides(t)
  const sides = { source: { resolve: broken } as unknown as typeof source, version: '1', target, float: 'x' }
  await t.rejects(
    compareAll([image('1')], () => sides, 2),
    TypeError,
  )
})

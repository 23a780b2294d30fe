import t from 'tap'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import { compareAll, type Finding } from '../../../src/mirror/plan/findings.ts'
import { RegistryFailure } from '../../../src/mirror/registry/failure.ts'
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
  const found: Finding[] = []
  const findings = await compareAll(
    ['1', '2', '3', '4'].map(image),
    ({ float, source: { tag: version } }) => ({ source, version: `${version}`, target, float }),
    { maxConcurrent: 2, found: (finding) => found.push(finding) },
  )
  t.strictSame(
    findings.map((finding) => `${finding.image.target} ${finding.state}`),
    ['a/b:1 different', 'a/b:2 missing', 'a/b:3 same', 'a/b:4 unreadable'],
  )
  t.match(findings[3], { reason: /the manifest 4: 403$/ })
  t.strictSame(new Set(found), new Set(findings), 'each is told at once')
  const judged = await compareAll(
    ['1', '2'].map(image),
    ({ float, source: { tag: version } }) => ({ source, version: `${version}`, target, float }),
    {
      maxConcurrent: 2,
      judge: async (finding, sides) => {
        t.equal(sides.target, target)
        if (finding.state === 'missing') throw new RegistryFailure('transient', 'it is slow')
        return { image: finding.image, state: 'left out', reason: 'a rule' }
      },
    },
  )
  t.match(judged, [
    { state: 'left out', reason: 'a rule' },
    { state: 'unreadable', reason: 'it is slow' },
  ])
  t.strictSame(await compareAll([], () => t.fail() as never, { maxConcurrent: 2 }), [])
})

await t.test('an unexpected error is a finding of its image, and does not stop the others', async (t) => {
  const broken = () => {
    throw new TypeError('x')
  }
  const unexpected = [{ state: 'unreadable', reason: 'unexpected: x' }]
  t.match(await compareAll([image('1')], broken, { maxConcurrent: 2 }), unexpected)
  const { source, target } = await startSides(t)
  const sides = { source: { resolve: broken } as unknown as typeof source, version: '1', target, float: 'x' }
  t.match(await compareAll([image('1')], () => sides, { maxConcurrent: 2 }), unexpected)
})

await t.test('a pass that ends early begins no further comparison', async (t) => {
  const { source, target } = await startSides(t)
  const abort = new AbortController()
  const found = () => abort.abort()
  const sidesOf = () => ({ source, version: '1', target, float: 'x' })
  const options = { maxConcurrent: 1, signal: abort.signal, found }
  t.equal((await compareAll(['1', '2', '3'].map(image), sidesOf, options)).length, 1)
})

import t from 'tap'
import { withDistributed } from '../../../src/mirror/distributor/distributed-images.ts'
import { allDesiredImages } from '../../../src/mirror/app-ci/desired-images.ts'
import type { StreamTag } from '../../../src/mirror/app-ci/current-images.ts'
import { hex } from '../../kubernetes/watching.ts'
import { configOf } from '../validation/entries.ts'

const yaml = `
supplementalCIImages:
  ocp/listed:x: {image: quay.io/a/b:c}
  ocp/a_b:c: {image: quay.io/a/b:d}
  ocp/dropped:x: {image: fedora}
qciToAppCIImages:
  ocp/back:x: {}
ignoredSources:
- {namespace: ocp, name: ignored, tag: x, reason: broken}
artImages:
- {namespace: ocp, name: ^art$}
`
const tags = (...names: readonly string[]): ReadonlyMap<string, StreamTag> =>
  new Map(names.map((name) => [name, { image: hex('1') as never, setAt: 5 }]))

await t.test('the configuration wins, and what is left out has a reason', async (t) => {
  const config = configOf(yaml)
  const listed = allDesiredImages(config, new Map([['ocp/art', new Map([['x', hex('1') as never]])]]))
  const streams: readonly (readonly [string, ReadonlyMap<string, StreamTag>])[] = [
    ['ocp/4.5', tags('cli')],
    ['ocp/a', tags('b_c')],
    ['ocp/art', tags('x')],
    ['ocp/back', tags('x')],
    ['ocp/dropped', tags('x')],
    ['ocp/ignored', tags('x')],
    ['ocp/listed', tags('x', 'y')],
    ['ocp/long', tags('x'.repeat(100), 'a+b')],
    ['ocp/none', new Map([['x', { image: 'none', setAt: undefined } as const]])],
    ['ocp/other', new Map([['x', { image: 'reference', setAt: undefined } as const]])],
  ]
  const { images, leftOut } = withDistributed(config, listed, streams)
  const added = images.filter(({ distributed }) => distributed !== undefined)
  t.strictSame(
    added.map(({ target, float, source }) => [target, float, source.tag ?? source.digest]),
    [
      ['ocp/4.5:cli', 'ocp_4.5_cli', hex('1')],
      ['ocp/listed:y', 'ocp_listed_y', hex('1')],
      ['ocp/other:x', 'ocp_other_x', 'x'],
    ],
  )
  t.match(added[0], {
    source: { registry: 'registry.ci.openshift.org', repository: 'ocp/4.5' },
    distributed: { imageStreamTag: { namespace: 'ocp', name: '4.5', tag: 'cli' }, setAt: 5 },
  })
  t.strictSame(images.slice(0, listed.images.length), listed.images)
  const reasons = leftOut.slice(listed.leftOut.length).map(({ target, reason }) => `${target}: ${reason}`)
  t.match(reasons, [
    'ocp/a:b_c: the configuration has ocp/a_b:c with the same tag in QCI, which wins',
    'ocp/art:x: the configuration has it, which wins',
    'ocp/back:x: qciToAppCIImages[ocp/back:x] copies it the other way, which wins',
    'ocp/dropped:x: the configuration has it, which wins',
    'ocp/ignored:x: registry.ci.openshift.org/ocp/ignored:x is ignored: broken',
    'ocp/listed:x: the configuration has it, which wins',
    /ocp_long_x+ is too long for a tag with a prune name$/,
    'ocp/long:a+b: ocp_long_a+b is not a tag',
    /^ocp\/none:x: .* has no image/,
  ])
  t.equal(reasons.length, 9)
})

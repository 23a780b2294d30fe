import t from 'tap'
import { externalImages } from '../../../src/mirror/plan/desired-source.ts'
import { configOf, supplemental } from '../validation/entries.ts'

await t.test('external images need no cluster', async (t) => {
  const config = configOf(supplemental({ 'a/b:c': 'quay.io/a/b:c', 'a/b:d': 'fedora' }))
  t.match(await externalImages.read(config, new AbortController().signal), {
    images: [{ target: 'a/b:c' }],
    leftOut: [{ target: 'a/b:d' }],
    problem: undefined,
  })
})

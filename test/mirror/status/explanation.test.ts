import t from 'tap'
import { Entry } from '../../../src/mirror/queue/entry.ts'
import { explain, notListed } from '../../../src/mirror/status/explanation.ts'
import { imageStates, type ImageStatus } from '../../../src/mirror/status/image-book.ts'
import { copyOf } from '../queue/copies.ts'

const rules = (most: number) => ({
  backoff: { firstMs: 1000, longestMs: 1000 },
  maxFailures: { refused: most, all: most },
  random: () => 0,
})
const failed = (failures: number) => {
  const entry = new Entry(copyOf('a/b:c'))
  for (let count = 0; count < failures; count++) entry.fail(new Error('x'), 0, rules(9))
  return entry.status()
}
const statusOf = (state: ImageStatus['state'], change: Partial<ImageStatus> = {}): ImageStatus => ({
  target: 'a/b:c',
  source: 'quay.io/a/b:c',
  destination: 'quay.io/openshift/ci:a_b_c',
  owner: 'supplementalCIImagesService',
  state,
  reason: 'quay.io answers 503',
  digest: undefined,
  comparedAt: 0,
  differsSince: undefined,
  copiedAt: undefined,
  copy: undefined,
  ...change,
})
const epochOf = (at: number) => Date.UTC(2026, 0, 1) + at

await t.test('each state has its own sentence', async (t) => {
  const sentences = imageStates.map((state) => explain(statusOf(state), epochOf).explanation)
  t.equal(new Set(sentences).size, imageStates.length)
  for (const sentence of sentences) t.match(sentence, /^[A-Z\w./:]+ .*\.$/)
})

await t.test('failures and times', async (t) => {
  const backing = explain(statusOf('backing off', { copy: failed(1) }), epochOf)
  t.match(backing, {
    failures: 1,
    last_error: 'unexpected: x',
    next_try_at: /^2026-01-01T00:00:0[01]\.\d{3}Z$/,
    compared_at: '1970-01-01T00:00:00.000Z',
    copied_at: null,
  })
  t.match(backing.explanation, /^The copy is tried again at 2026-.*Z, after one failure: unexpected: x\.$/)
  t.match(
    explain(statusOf('dead', { copy: failed(3) }), epochOf).explanation,
    'not tried any more after 3 failures: unexpected: x. When that is mended, sync the image.',
  )
})

await t.test('attack: a name that is not listed forges no line', async (t) => {
  t.equal(
    notListed('a\nb', [{ target: 'x/y:z' }]),
    'a?b is not in the configuration, and no pattern of artImages matches it',
  )
  t.match(
    notListed('x/y:y', [], 'no filter selects it'),
    /matches it; the watch of all ImageStreams has no image of it: no filter selects it$/,
  )
  t.match(notListed('x/y:y', [{ target: 'x/y:z' }]), /; did you mean x\/y:z\?$/)
})

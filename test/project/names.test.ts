/**
 * Retired words stay out of the source: each of them was a private word for something that has a name in the field.
 */
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'

/** The retired word, and what to say instead. */
const retired: Readonly<Record<string, string>> = {
  asker: 'requester',
  askers: 'requesters',
  doorway: 'candidate',
  doorways: 'candidates',
  doorsOf: 'requirementsOf',
  judgeBeside: 'evaluateShadow',
  createSource: 'createPipeline',
  createBreaker: 'createCircuitBreaker',
  createShare: 'createSingleFlight',
  createGate: 'createLimiter',
  createPlaces: 'createBlobSlots',
  createRemembered: 'createReviewCache',
  createAdmission: 'createFailedLoginLimit',
  createParts: 'compose',
  createUpstream: 'createUpstreamClient',
  UpstreamTrouble: 'TransientUpstreamError',
  UpstreamLimit: 'UpstreamRateLimited',
  ConnectionsTaken: 'PoolExhausted',
  mayPass: 'isRetryable',
  troubled: 'asTransient',
  endGently: 'closeGracefully',
  kindOf: 'identity.kind',
  Hop: 'UpstreamReply',
  outflow: 'delivery',
  inflow: 'readBuffer',
}

const files = globSync('src/**/*.ts')

await t.test('no retired word is in the source', async (test) => {
  test.ok(files.length > 200)
  for (const file of files) {
    // The fake quay has requests of kinds, too.
    if (file.startsWith('src/sandbox/')) continue
    const words = new Set(readFileSync(file, 'utf8').match(/[A-Za-z]+/g))
    for (const [word, better] of Object.entries(retired))
      if (words.has(word)) test.fail(`${file}: ${word}; say ${better}`)
  }
})

await t.test('the words that are ours are in use', async (test) => {
  const source = files.map((file) => readFileSync(file, 'utf8').toLowerCase()).join('\n')
  const words = [...readFileSync('docs/glossary.md', 'utf8').matchAll(/^\| `([^`]+)`/gm)].map(
    ([, word = '']) => word,
  )
  test.ok(words.length >= 20)
  for (const word of words)
    test.ok(source.replaceAll(/[-\s*/]+/g, ' ').includes(word.toLowerCase().replaceAll('-', ' ')), word)
})

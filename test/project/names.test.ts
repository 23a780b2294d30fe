/**
 * Retired words stay out of the source: each of them was a private word for something that has a name in the field. docs/glossary.md has
 * the words that stay ours.
 */
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'

/** The retired identifier, and what to say instead. They are gone from the tests, too. */
const identifiers: Readonly<Record<string, string>> = {
  addressOf: 'networkOfClient',
  askBeside: 'hedgedSend',
  askerOf: 'requesterOf',
  AskerLeft: 'CallerGone',
  ConnectionsTaken: 'PoolExhausted',
  createAdmission: 'createFailedLoginLimit',
  createBreaker: 'createCircuitBreaker',
  createDispatcher: 'createUpstreamClient',
  createGate: 'createLimiter',
  createKeptManifests: 'createManifestsByDigest',
  createKnownDigests: 'composeDigests',
  createKnownTags: 'createDigestsByTag',
  createLane: 'createReviewQueue',
  createOutage: 'withCircuitBreaker',
  createParts: 'compose',
  createPlaces: 'createBlobSlots',
  createRemembered: 'ReviewCache',
  createRememberedGrants: 'createRecentGrants',
  createRules: 'createAuthorizationMode',
  createShare: 'createSingleFlight',
  createSource: 'createPipeline',
  createUpstream: 'createUpstreamClient',
  doorsOf: 'requirementsOf',
  endGently: 'endIdleConnections',
  firstOpen: 'reviewedGrant',
  gatherFlags: 'collectFlags',
  GateWaiting: 'LimitedRequest',
  Hop: 'UpstreamReply',
  HopRequest: 'RoundTripRequest',
  isAway: 'isCircuitOpen',
  isCarried: 'isPayloadBlob',
  isNothing: 'isNeutral',
  judgeBeside: 'evaluateShadow',
  kindOf: 'identity.kind',
  knownOpening: 'cachedGrant',
  lateMs: 'hedgeAfterMs',
  LostTrack: 'ResourceVersionExpired',
  libraryBody: 'undiciBody',
  MadeSource: 'Pipeline',
  ManifestMemory: 'ManifestCache',
  mayPass: 'isRetryable',
  MemoryParts: 'ManifestCache',
  minAbout: 'minDistinctKeys',
  openBelieved: 'openWithExpectedSize',
  patienceMs: 'maxWaitMs',
  refusalOfStorage: 'errorForStorageStatus',
  robotMay: 'robotGrant',
  SentAway: 'Rejection',
  setAside: 'quarantine',
  SharedGate: 'KindLimiter',
  stockQuay: 'seedQuay',
  troubled: 'asTransient',
  UnusualAnswer: 'UnsupportedResponse',
  UpstreamAway: 'CircuitOpen',
  UpstreamLimit: 'UpstreamRateLimited',
  UpstreamTrouble: 'TransientUpstreamError',
}

/** Retired in comments, and as a part of any name: `askersLeft` has `asker`. */
const words: Readonly<Record<string, string>> = {
  asker: 'requester',
  away: 'unavailable, circuit open',
  doors: 'requirement',
  doorway: 'candidate review',
  gate: 'limiter',
  inflow: 'read buffer',
  outage: 'circuit breaker',
  outflow: 'delivery',
  remembered: 'cached',
  trouble: 'transient error, failure',
}

/** Words on their way out, and how often they are still there: never more often than that. */
const fading: Readonly<Record<string, { readonly better: string; readonly most: number }>> = {
  beside: { better: 'shadow, hedged', most: 1 },
  hop: { better: 'round trip', most: 5 },
  piece: { better: 'chunk', most: 10 },
}

const textOf = (file: string): string => readFileSync(file, 'utf8')
const identifiersIn = (text: string): readonly string[] => text.match(/[A-Za-z_$][\w$]*/g) ?? []
/** The words of comments and names, lower-case and without the s of a plural: `askersLeft` is `asker` and `left`. */
const wordsIn = (text: string): readonly string[] =>
  (text.match(/[A-Z]?[a-z]+|[A-Z]+/g) ?? []).map((word) => word.toLowerCase())
const isWord = (found: string, word: string): boolean => found === word || found === `${word}s`

const sources = globSync('src/**/*.ts')
const tests = globSync('test/**/*.ts').filter((file) => file !== 'test/project/names.test.ts')

await t.test('no retired identifier is in the source or in a test', async (test) => {
  test.ok(sources.length > 200 && tests.length > 200)
  for (const file of [...sources, ...tests]) {
    const found = new Set(identifiersIn(textOf(file)))
    for (const [name, better] of Object.entries(identifiers)) {
      // Of the fake quay: the kind of a request, by its path.
      if (name === 'kindOf' && file.includes('sandbox/quay/')) continue
      if (found.has(name)) test.fail(`${file}: ${name}; say ${better}`)
    }
  }
})

await t.test('no retired word is in the source', async (test) => {
  for (const file of sources)
    for (const found of new Set(wordsIn(textOf(file))))
      for (const [word, better] of Object.entries(words))
        if (isWord(found, word)) test.fail(`${file}: ${found}; say ${better}`)
  test.pass()
})

await t.test('the count of retiring words does not grow', async (test) => {
  const all = sources.flatMap((file) => wordsIn(textOf(file)))
  for (const [word, { better, most }] of Object.entries(fading)) {
    const count = all.filter((found) => isWord(found, word)).length
    test.ok(count <= most, `${word}: ${count} times, ${most} at most; say ${better}`)
  }
})

await t.test('dispatcher is the word of undici', async (test) => {
  const foreign = sources.filter((file) => !/^src\/(?:kubernetes\/|upstream\/client\/body\.ts)/.test(file))
  const count = foreign
    .flatMap((file) => wordsIn(textOf(file)))
    .filter((word) => word === 'dispatcher').length
  test.ok(count <= 4, `${count} times`)
})

await t.test('the words that are ours are in use', async (test) => {
  const spoken = (text: string): string => ` ${text.toLowerCase().replaceAll(/[^a-z]+/g, ' ')} `
  const source = spoken(sources.map(textOf).join('\n'))
  const ours = [...textOf('docs/glossary.md').matchAll(/^\| `([^`]+)`/gm)].map(([, word = '']) => word)
  test.ok(ours.length >= 20 && ours.length <= 40, `${ours.length} words`)
  test.equal(new Set(ours).size, ours.length, 'each once')
  for (const word of ours) test.ok(source.includes(spoken(word)), word)
  for (const word of ours) test.notOk(Object.hasOwn(words, word) || Object.hasOwn(fading, word), word)
})

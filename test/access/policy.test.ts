import t from 'tap'
import { clusterKindOf, type ClusterIdentity, type Identity } from '../../src/access/identity.ts'
import { createRequirements, type DigestKnowledge } from '../../src/access/requirement.ts'
import { createPolicy, type Decision, type PolicyOptions } from '../../src/access/policy.ts'
import type { LookFurther } from '../../src/digests/look-further.ts'
import { createRecentGrants, localGrants, type RecentGrants } from '../../src/access/recent-grants.ts'
import { createRestrictedNamespaces } from '../../src/access/restricted-namespaces.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository, type ImageStream } from '../../src/oci/reference.ts'
import { knowing } from './knowledge.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))

const isRestricted = createRestrictedNamespaces(['*-priv', '*-private'])
const hexOf = (digit: string) => digit.repeat(64)
const nowhere = hexOf('0')
const inOpen = hexOf('a')
const inRestricted = hexOf('b')
const inBoth = hexOf('c')
const inManyStreams = hexOf('d')

const team = { namespace: 'my-team', name: 'app' }
const embargoed = { namespace: 'ocp-priv', name: '4.15' }
const manyStreams = Array.from({ length: 64 }, (_, number) => ({ namespace: 'many', name: String(number) }))
const known: Readonly<Record<string, readonly ImageStream[]>> = {
  [inOpen]: [{ namespace: 'ocp', name: '4.15' }, team],
  [inRestricted]: [embargoed],
  [inBoth]: [embargoed, team],
  [inManyStreams]: manyStreams,
}

const person = (username: string): ClusterIdentity => ({
  kind: clusterKindOf(username),
  key: username,
  user: { username, groups: [], extra: {} },
})
/** Whom RBAC lets into what: a namespace, or one named stream of it. */
const rights: Readonly<Record<string, readonly string[]>> = {
  'qci-wide': ['ocp'],
  puller: ['my-team'],
  'priv-puller': ['ocp-priv'],
  named: ['ocp/4.15', 'ocp-priv/4.15', 'a/b'],
  nobody: [],
}
const robot: Identity = { kind: 'robot', user: { username: 'robot', groups: [], extra: {} } }
const spell = ({ namespace, name }: ImageStream) => (name === undefined ? namespace : `${namespace}/${name}`)

type Source = 'live' | 'cached' | 'grace'
interface Scene {
  readonly unknownDigests?: 'allow' | 'deny'
  /** Spelled streams whose review is cached, live or outdated. */
  readonly cached?: Readonly<Record<string, boolean>>
  readonly outdated?: Readonly<Record<string, boolean>>
  /** Spelled streams whose review fails. */
  readonly failing?: readonly string[]
  readonly sources?: Readonly<Record<string, Source>>
}

const setUp = ({
  unknownDigests = 'allow',
  cached = {},
  outdated = {},
  failing = [],
  sources = {},
}: Scene = {}) => {
  const asked: string[] = []
  const knowledge = knowing((digest) => known[digest.slice('sha256:'.length)] ?? [], isRestricted)
  const requirementsOf = createRequirements({ knowledge, isRestricted, unknownDigests })
  const policy = createPolicy({
    reviews: {
      review: async ({ user }, imageStream) => {
        const spelled = spell(imageStream)
        asked.push(spelled)
        if (failing.includes(spelled)) throw new Error('unavailable')
        const may = rights[user.username] ?? []
        return {
          allowed: may.includes(imageStream.namespace) || may.includes(spelled),
          source: sources[spelled] ?? 'live',
        }
      },
      peek: (_identity, imageStream) => cached[spell(imageStream)],
      peekInGrace: (_identity, imageStream) => outdated[spell(imageStream)],
    },
    requirementsOf,
    listedRequirementsOf: createRequirements({ knowledge, isRestricted, unknownDigests: 'deny' }),
    qciNamespace: 'ocp',
    refusalStepMs: 0,
  })
  /** Whose image it is said to be, whatever is decided. */
  const place = (what: string): { namespace?: string } => {
    const { namespace } = requirementsOf.reference(parse(what))
    return namespace === undefined ? {} : { namespace }
  }
  return { policy, asked, place }
}

const parse = (text: string) => {
  const [, namespace = '', name = '', reference = ''] = /^([^/]+)\/([^:@]+)[:@](.*)$/.exec(text) ?? []
  return parseReference(parseRepository(namespace, name, 'openshift/ci'), reference, ownerOf)
}

interface Row {
  readonly who: string
  readonly what: string
  /** `allowed: undefined` is spelled as a refusal: rule none. */
  readonly rule: Decision['rule']
  /** Whose review said yes; of a refusal, whose image it is. */
  readonly namespace?: string
  readonly asks: readonly string[]
  readonly scene?: Scene
}

const open = 'ocp/4.15:base'
const restricted = 'ocp-priv/4.15:base'
const ambiguous = 'a/b:c_d'
const nameless = 'openshift/ci:latest'
const mono = (hex: string) => `openshift/ci@sha256:${hex}`
const deny: Scene = { unknownDigests: 'deny' }

const tags: readonly Row[] = [
  { who: 'qci-wide', what: open, rule: 'qci-wide', namespace: 'ocp', asks: ['ocp'] },
  { who: 'named', what: open, rule: 'image-puller', namespace: 'ocp', asks: ['ocp', 'ocp/4.15'] },
  { who: 'puller', what: open, rule: 'none', namespace: 'ocp', asks: ['ocp', 'ocp/4.15'] },
  { who: 'nobody', what: open, rule: 'none', namespace: 'ocp', asks: ['ocp', 'ocp/4.15'] },
  { who: 'robot', what: open, rule: 'robot', asks: [] },
  {
    who: 'puller',
    what: 'my-team/app:latest',
    rule: 'image-puller',
    namespace: 'my-team',
    asks: ['ocp', 'my-team/app'],
  },
  {
    who: 'puller',
    what: 'openshift/ci:my-team_app_latest',
    rule: 'image-puller',
    namespace: 'my-team',
    asks: ['ocp', 'my-team/app'],
  },
  {
    who: 'puller',
    what: 'openshift/ci:20240603235401_prune_my-team_app_latest',
    rule: 'image-puller',
    namespace: 'my-team',
    asks: ['ocp', 'my-team/app'],
  },

  { who: 'qci-wide', what: restricted, rule: 'none', namespace: 'ocp-priv', asks: ['ocp-priv/4.15'] },
  {
    who: 'priv-puller',
    what: restricted,
    rule: 'image-puller',
    namespace: 'ocp-priv',
    asks: ['ocp-priv/4.15'],
  },
  { who: 'named', what: restricted, rule: 'image-puller', namespace: 'ocp-priv', asks: ['ocp-priv/4.15'] },
  { who: 'puller', what: restricted, rule: 'none', namespace: 'ocp-priv', asks: ['ocp-priv/4.15'] },
  { who: 'nobody', what: restricted, rule: 'none', namespace: 'ocp-priv', asks: ['ocp-priv/4.15'] },
  { who: 'robot', what: restricted, rule: 'robot', asks: [] },
  {
    who: 'qci-wide',
    what: 'openshift/ci:20240603235401_prune_ocp-priv_4.15_base',
    rule: 'none',
    namespace: 'ocp-priv',
    asks: ['ocp-priv/4.15'],
  },

  { who: 'qci-wide', what: ambiguous, rule: 'qci-wide', namespace: 'ocp', asks: ['ocp'] },
  { who: 'named', what: ambiguous, rule: 'none', namespace: 'a', asks: ['ocp', 'a'] },
  { who: 'nobody', what: ambiguous, rule: 'none', namespace: 'a', asks: ['ocp', 'a'] },
  {
    who: 'puller',
    what: 'my-team/b:c_d',
    rule: 'image-puller',
    namespace: 'my-team',
    asks: ['ocp', 'my-team'],
  },
  { who: 'robot', what: ambiguous, rule: 'robot', asks: [] },

  { who: 'qci-wide', what: nameless, rule: 'qci-wide', namespace: 'ocp', asks: ['ocp'] },
  { who: 'puller', what: nameless, rule: 'none', asks: ['ocp'] },
  { who: 'named', what: nameless, rule: 'none', asks: ['ocp'] },
  { who: 'nobody', what: nameless, rule: 'none', asks: ['ocp'] },
  { who: 'robot', what: nameless, rule: 'robot', asks: [] },
]

const digests: readonly Row[] = [
  { who: 'qci-wide', what: mono(nowhere), rule: 'qci-wide', namespace: 'ocp', asks: ['ocp'] },
  { who: 'puller', what: mono(nowhere), rule: 'none', asks: ['ocp'] },
  { who: 'named', what: mono(nowhere), rule: 'none', asks: ['ocp'] },
  { who: 'nobody', what: mono(nowhere), rule: 'none', asks: ['ocp'] },
  { who: 'robot', what: mono(nowhere), rule: 'robot', asks: [] },
  { who: 'qci-wide', what: mono(nowhere), rule: 'none', asks: [], scene: deny },
  { who: 'puller', what: mono(nowhere), rule: 'none', asks: [], scene: deny },
  { who: 'robot', what: mono(nowhere), rule: 'robot', asks: [], scene: deny },
  { who: 'qci-wide', what: mono(inOpen), rule: 'qci-wide', namespace: 'ocp', asks: ['ocp'], scene: deny },

  { who: 'qci-wide', what: mono(inOpen), rule: 'qci-wide', namespace: 'ocp', asks: ['ocp'] },
  {
    who: 'puller',
    what: mono(inOpen),
    rule: 'image-puller',
    namespace: 'my-team',
    asks: ['ocp', 'my-team/app'],
  },
  {
    who: 'named',
    what: mono(inOpen),
    rule: 'image-puller',
    namespace: 'ocp',
    asks: ['ocp', 'my-team/app', 'ocp/4.15'],
  },
  { who: 'nobody', what: mono(inOpen), rule: 'none', asks: ['ocp', 'my-team/app', 'ocp/4.15'] },

  { who: 'qci-wide', what: mono(inRestricted), rule: 'none', asks: ['ocp-priv/4.15'] },
  {
    who: 'priv-puller',
    what: mono(inRestricted),
    rule: 'image-puller',
    namespace: 'ocp-priv',
    asks: ['ocp-priv/4.15'],
  },
  {
    who: 'named',
    what: mono(inRestricted),
    rule: 'image-puller',
    namespace: 'ocp-priv',
    asks: ['ocp-priv/4.15'],
  },
  { who: 'puller', what: mono(inRestricted), rule: 'none', asks: ['ocp-priv/4.15'] },
  { who: 'robot', what: mono(inRestricted), rule: 'robot', asks: [] },

  { who: 'qci-wide', what: mono(inBoth), rule: 'qci-wide', namespace: 'ocp', asks: ['ocp'] },
  {
    who: 'puller',
    what: mono(inBoth),
    rule: 'image-puller',
    namespace: 'my-team',
    asks: ['ocp', 'my-team/app'],
  },
  {
    who: 'priv-puller',
    what: mono(inBoth),
    rule: 'image-puller',
    namespace: 'ocp-priv',
    asks: ['ocp', 'my-team/app', 'ocp-priv/4.15'],
  },
  { who: 'nobody', what: mono(inBoth), rule: 'none', asks: ['ocp', 'my-team/app', 'ocp-priv/4.15'] },

  // A tag that stands for a digest is judged as the digest.
  {
    who: 'qci-wide',
    what: `openshift/ci:20231029_sha256_${inRestricted}`,
    rule: 'none',
    asks: ['ocp-priv/4.15'],
  },
  {
    who: 'qci-wide',
    what: `openshift/ci:sha256-${inRestricted}.sig`,
    rule: 'none',
    asks: ['ocp-priv/4.15'],
  },
  {
    who: 'puller',
    what: `openshift/ci:sha256-${inOpen}.sig`,
    rule: 'image-puller',
    namespace: 'my-team',
    asks: ['ocp', 'my-team/app'],
  },
]

const imageStreamDigests: readonly Row[] = [
  {
    who: 'puller',
    what: `my-team/app@sha256:${inBoth}`,
    rule: 'image-puller',
    namespace: 'my-team',
    asks: ['ocp', 'my-team/app'],
  },
  {
    who: 'puller',
    what: `ocp/4.15@sha256:${inOpen}`,
    rule: 'none',
    namespace: 'ocp',
    asks: ['ocp', 'ocp/4.15'],
  },
  {
    who: 'puller',
    what: `my-team/other@sha256:${inOpen}`,
    rule: 'image-puller',
    namespace: 'my-team',
    asks: ['ocp', 'my-team/app'],
  },
  { who: 'puller', what: `my-team/app@sha256:${inRestricted}`, rule: 'none', namespace: 'my-team', asks: [] },
  { who: 'puller', what: `my-team/app@sha256:${nowhere}`, rule: 'none', namespace: 'my-team', asks: ['ocp'] },
  {
    who: 'priv-puller',
    what: `my-team/app@sha256:${inBoth}`,
    rule: 'none',
    namespace: 'my-team',
    asks: ['ocp', 'my-team/app'],
  },
  {
    who: 'qci-wide',
    what: `my-team/app@sha256:${inBoth}`,
    rule: 'qci-wide',
    namespace: 'ocp',
    asks: ['ocp'],
  },
  { who: 'qci-wide', what: `nobodys/x@sha256:${inOpen}`, rule: 'qci-wide', namespace: 'ocp', asks: ['ocp'] },
  { who: 'qci-wide', what: `nobodys/x@sha256:${nowhere}`, rule: 'qci-wide', namespace: 'ocp', asks: ['ocp'] },
  {
    who: 'qci-wide',
    what: `my-team/app@sha256:${inRestricted}`,
    rule: 'none',
    namespace: 'my-team',
    asks: [],
  },
  {
    who: 'qci-wide',
    what: `ocp-priv/4.15@sha256:${inRestricted}`,
    rule: 'none',
    namespace: 'ocp-priv',
    asks: ['ocp-priv/4.15'],
  },
  { who: 'robot', what: `ocp-priv/4.15@sha256:${inRestricted}`, rule: 'robot', asks: [] },
  {
    who: 'qci-wide',
    what: `my-team/app@sha256:${nowhere}`,
    rule: 'none',
    namespace: 'my-team',
    asks: [],
    scene: deny,
  },
]

for (const [title, rows] of Object.entries({
  tags,
  digests,
  'digests of an image stream': imageStreamDigests,
}))
  await t.test(`access: ${title}`, async (test) => {
    for (const { who, what, rule, namespace, asks, scene } of rows) {
      const { policy, asked, place } = setUp(scene)
      const decision = await policy.decide(who === 'robot' ? robot : person(who), parse(what))
      const name = `${who} ${what}`
      test.strictSame(
        decision,
        {
          allowed: rule !== 'none',
          rule,
          ...place(what),
          ...(namespace === undefined ? {} : rule === 'none' ? { namespace } : { grantedBy: namespace }),
          source: asks.length === 0 ? 'none' : 'live',
        },
        name,
      )
      // All reviews are sent at once, also those after the yes.
      test.strictSame(
        decision.allowed ? asked.slice(0, asks.length) : asked,
        asks,
        `${name}: what was asked, in order`,
      )
    }
  })

await t.test('at most 16 reviews, the newest streams first', async (test) => {
  const { policy, asked } = setUp()
  const decision = await policy.decide(person('nobody'), parse(mono(inManyStreams)))
  test.equal(decision.allowed, false)
  test.equal(asked.length, 16)
  test.strictSame(asked.slice(0, 3), ['ocp', 'many/63', 'many/62'])
  test.equal(asked.at(-1), 'many/49')
})

await t.test('a cached yes sends no review, wherever it is among the candidates', async (test) => {
  const rows: readonly (readonly [string, string, Decision])[] = [
    [open, 'ocp', { allowed: true, rule: 'qci-wide', grantedBy: 'ocp', source: 'cached' }],
    [open, 'ocp/4.15', { allowed: true, rule: 'image-puller', grantedBy: 'ocp', source: 'cached' }],
    [
      mono(inManyStreams),
      'many/0',
      { allowed: true, rule: 'image-puller', grantedBy: 'many', source: 'cached' },
    ],
    [
      mono(inRestricted),
      'ocp-priv/4.15',
      { allowed: true, rule: 'image-puller', grantedBy: 'ocp-priv', source: 'cached' },
    ],
    [nameless, 'ocp', { allowed: true, rule: 'qci-wide', grantedBy: 'ocp', source: 'cached' }],
  ]
  for (const [what, stream, expected] of rows) {
    const { policy, asked, place } = setUp({ cached: { [stream]: true } })
    test.strictSame(await policy.decide(person('nobody'), parse(what)), { ...place(what), ...expected }, what)
    test.strictSame(asked, [])
  }
})

await t.test('a cached yes for one candidate opens no other reference', async (test) => {
  for (const [what, stream] of [
    [restricted, 'ocp'],
    [restricted, 'ocp-priv'],
    [mono(inRestricted), 'ocp'],
    [nameless, 'ocp/4.15'],
    [`my-team/app@sha256:${inOpen}`, 'ocp/4.15'],
  ] as const) {
    const { policy } = setUp({ cached: { [stream]: true } })
    test.equal((await policy.decide(person('nobody'), parse(what))).allowed, false, what)
  }
})

await t.test('a cached no is left to the review itself', async (test) => {
  const { policy, asked } = setUp({
    cached: { ocp: false, 'ocp/4.15': false },
    sources: { ocp: 'cached', 'ocp/4.15': 'cached' },
  })
  test.strictSame(await policy.decide(person('nobody'), parse(open)), {
    allowed: false,
    rule: 'none',
    namespace: 'ocp',
    source: 'cached',
  })
  test.strictSame(asked, ['ocp', 'ocp/4.15'])
})

await t.test('the source of a refusal is live as soon as one review was sent', async (test) => {
  for (const sources of [
    { ocp: 'live', 'ocp/4.15': 'cached' },
    { ocp: 'cached', 'ocp/4.15': 'live' },
  ] as const) {
    const { policy } = setUp({ sources })
    test.equal((await policy.decide(person('nobody'), parse(open))).source, 'live')
  }
  const { policy } = setUp({ sources: { ocp: 'grace' } })
  test.match(await policy.decide(person('qci-wide'), parse(open)), { allowed: true, source: 'grace' })
})

await t.test('trap 17: a review that fails is a throw, not a no', async (test) => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['nobody', open, 'ocp'],
    ['nobody', open, 'ocp/4.15'],
    ['nobody', restricted, 'ocp-priv/4.15'],
    ['qci-wide', nameless, 'ocp'],
    ['nobody', mono(inBoth), 'ocp-priv/4.15'],
  ]
  for (const [who, what, failing] of rows) {
    const { policy, asked } = setUp({ failing: [failing] })
    await test.rejects(
      async () => await policy.decide(person(who), parse(what)),
      { message: 'unavailable' },
      `${who} ${what}`,
    )
    test.ok(asked.includes(failing))
  }
  const { policy } = setUp({ failing: ['ocp-priv/4.15'] })
  test.match(
    await policy.decide(person('qci-wide'), parse(mono(inBoth))),
    { allowed: true },
    'a failure beside a yes does not count',
  )
})

await t.test('grace: a former yes counts if a review fails', async (test) => {
  const what = parse('my-team/app:latest')
  const failing = ['ocp', 'my-team/app']
  const { policy, asked } = setUp({ failing, outdated: { 'my-team/app': true } })
  test.strictSame(await policy.decide(person('puller'), what), {
    allowed: true,
    rule: 'image-puller',
    namespace: 'my-team',
    grantedBy: 'my-team',
    source: 'grace',
  })
  test.strictSame(asked, failing)
  for (const outdated of [{ 'my-team/app': false }, { ocp: false }, { 'ocp/4.15': true }, {}])
    await test.rejects(async () => await setUp({ failing, outdated }).policy.decide(person('puller'), what), {
      message: 'unavailable',
    })
  const half = setUp({ failing: ['ocp'], outdated: { ocp: true } })
  test.match(
    await half.policy.decide(person('puller'), what),
    { allowed: true, rule: 'image-puller', source: 'live' },
    'a yes of today goes before one of yesterday',
  )
  const answered = setUp({ outdated: { ocp: true, 'ocp/4.15': true } })
  test.match(
    await answered.policy.decide(person('nobody'), parse(open)),
    { allowed: false },
    'an API server that answers is believed',
  )
})

await t.test('lists: an image stream, or images without one', async (test) => {
  const rows: readonly (readonly [string, ImageStream | undefined, Decision['rule'], readonly string[]])[] = [
    ['qci-wide', undefined, 'qci-wide', ['ocp']],
    ['puller', undefined, 'none', ['ocp']],
    ['robot', undefined, 'robot', []],
    ['puller', team, 'image-puller', ['ocp', 'my-team/app']],
    ['puller', { namespace: 'my-team' }, 'image-puller', ['ocp', 'my-team']],
    ['qci-wide', team, 'qci-wide', ['ocp']],
    ['qci-wide', embargoed, 'none', ['ocp-priv/4.15']],
    ['robot', embargoed, 'robot', []],
  ]
  for (const [who, imageStream, rule, asks] of rows) {
    const { policy, asked } = setUp()
    const identity = who === 'robot' ? robot : person(who)
    const { allowed, ...decision } = await policy.decideImageStream(identity, imageStream)
    test.match({ allowed, ...decision }, { allowed: rule !== 'none', rule }, who)
    test.strictSame(allowed ? asked.slice(0, asks.length) : asked, asks)
  }
})

await t.test('lists: unseen digests are closed, all else is as in decide', async (test) => {
  const whos = ['qci-wide', 'puller', 'priv-puller', 'nobody', 'robot']
  const digests = [inOpen, inRestricted, inBoth, nowhere]
  const forms = (hex: string) => [mono(hex), `my-team/app@sha256:${hex}`, `openshift/ci:sha256-${hex}.sig`]
  for (const who of whos)
    for (const what of [...digests.flatMap(forms), open, restricted, nameless]) {
      const { policy } = setUp()
      const identity = who === 'robot' ? robot : person(who)
      const isUnseen = what.includes(nowhere)
      const expected = (await policy.decide(identity, parse(what))).allowed && (!isUnseen || who === 'robot')
      test.equal(await policy.mayList(identity, parse(what)), expected, `${who} ${what}`)
    }
})

await t.test('one stream of each namespace goes before a second one of any', async (test) => {
  const busy = Array.from({ length: 40 }, (_, index) => ({ namespace: 'busy', name: String(index) }))
  const seen = [{ namespace: 'mine', name: 'app' }, ...busy]
  const asked: string[] = []
  const requirementsOf = createRequirements({
    knowledge: knowing(
      () => seen,
      () => false,
    ),
    isRestricted: () => false,
    unknownDigests: 'allow',
  })
  const policy = createPolicy({
    requirementsOf,
    listedRequirementsOf: requirementsOf,
    qciNamespace: 'ocp',
    reviews: {
      peek: () => undefined,
      peekInGrace: () => undefined,
      review: async (_identity, { namespace, name = '' }) => {
        asked.push(`${namespace}/${name}`)
        return { allowed: namespace === 'mine', source: 'live' }
      },
    },
  })
  const decision = await policy.decide(person('somebody'), parse(mono(inManyStreams)))
  test.match(decision, { allowed: true, rule: 'image-puller', grantedBy: 'mine' })
  test.strictSame(asked.slice(0, 4), ['ocp/', 'busy/39', 'mine/app', 'busy/38'])
  test.equal(asked.length, 16)
})

await t.test('a cached yes decides at once, without a promise; a no never does', async (test) => {
  const tag = parse('my-team/app:latest')
  const rows: readonly (readonly [Scene, Identity, Decision['rule'] | undefined])[] = [
    [{ cached: { ocp: true } }, person('qci-wide'), 'qci-wide'],
    [{ cached: { 'my-team/app': true } }, person('puller'), 'image-puller'],
    [{ cached: { ocp: false, 'my-team/app': true } }, person('puller'), 'image-puller'],
    [{ cached: { ocp: false, 'my-team/app': false } }, person('nobody'), undefined],
    [{ outdated: { ocp: true } }, person('qci-wide'), undefined],
    [{}, person('qci-wide'), undefined],
    [{}, robot, 'robot'],
  ]
  for (const [scene, identity, rule] of rows) {
    const { policy, asked } = setUp(scene)
    const decided = policy.decide(identity, tag)
    const isAtOnce = !(decided instanceof Promise)
    test.equal(isAtOnce, rule !== undefined, JSON.stringify(scene))
    if (isAtOnce) test.strictSame([decided.rule, asked], [rule, []], JSON.stringify(scene))
    else await decided
  }
})

/** A policy over one digest that is known in some image streams, and whatever else a test says. */
const over = (
  imageStreams: readonly ImageStream[],
  more: Partial<PolicyOptions> & {
    readonly rights?: readonly string[]
    readonly knowledge?: Partial<DigestKnowledge>
    readonly onReview?: () => void
  } = {},
) => {
  const { rights = [], knowledge = {}, onReview = () => undefined, ...options } = more
  const asked: string[] = []
  const waiting = { now: 0, most: 0 }
  const requirementsOf = createRequirements({
    knowledge: knowing(() => imageStreams, isRestricted, knowledge),
    isRestricted,
    unknownDigests: 'allow',
  })
  const policy = createPolicy({
    requirementsOf,
    listedRequirementsOf: requirementsOf,
    qciNamespace: 'ocp',
    refusalStepMs: 0,
    reviews: {
      peek: () => undefined,
      peekInGrace: () => undefined,
      review: async (_identity, imageStream) => {
        asked.push(spell(imageStream))
        waiting.most = Math.max(waiting.most, ++waiting.now)
        await new Promise((resolve) => setImmediate(resolve))
        onReview()
        waiting.now -= 1
        const allowed = [imageStream.namespace, spell(imageStream)].some((place) => rights.includes(place))
        return { allowed, source: 'live' }
      },
    },
    ...options,
  })
  return { policy, asked, waiting }
}
const digest = parse(mono(inOpen))

await t.test(
  'attack: all reviews of a decision are sent at once, so that their time does not show their number',
  async (test) => {
    for (const count of [1, 8, 40]) {
      const streams = Array.from({ length: count }, (_, number) => ({ namespace: `n${number}` }))
      const { policy, asked, waiting } = over(streams)
      test.match(await policy.decide(person('nobody'), digest), { allowed: false, source: 'live' })
      test.strictSame([waiting.most, asked.length], [Math.min(count + 1, 16), Math.min(count + 1, 16)])
    }
  },
)

await t.test("a service account's own namespace goes before all others but QCI-wide", async (test) => {
  const streams = [
    { namespace: 'mine' },
    ...Array.from({ length: 40 }, (_, number) => ({ namespace: `n${number}` })),
  ]
  const account = person('system:serviceaccount:mine:builder')
  const { policy, asked } = over(streams, { rights: ['mine'] })
  test.match(await policy.decide(account, digest), { allowed: true, grantedBy: 'mine' })
  test.strictSame(asked.slice(0, 2), ['ocp', 'mine'])
  const other = over(streams, { rights: ['mine'] })
  test.match(await other.policy.decide(person('mine'), digest), { allowed: false })
  test.notOk(other.asked.includes('mine'))
})

await t.test(
  'the search runs before a digest is refused; never for a tag, a robot, or a yes',
  async (test) => {
    const looked: string[] = []
    const lookFurther: LookFurther = async (wanted, { repository, requester, mayPull }) => {
      const may = await Promise.all(
        ['mine', 'ocp-priv'].map(async (namespace) => await mayPull({ namespace })),
      )
      looked.push(`${requester} ${repository.path} ${wanted.slice(7, 8)} ${may.join()}`)
      return { hasNewFacts: false, isCertain: true }
    }
    const { policy } = over([embargoed], { lookFurther, rights: ['mine'] })
    for (const text of [mono(inOpen), `openshift/ci:sha256-${inOpen}.sig`, `my-team/app@sha256:${inOpen}`])
      test.match(await policy.decide(person('alice'), parse(text)), { allowed: false })
    const expected = ['openshift/ci', 'openshift/ci', 'my-team/app'].map(
      (path) => `alice ${path} a true,false`,
    )
    test.strictSame(looked, expected)
    test.match(await policy.decide(robot, digest), { allowed: true, rule: 'robot' })
    for (const text of [restricted, nameless, open]) await policy.decide(person('alice'), parse(text))
    await policy.decideImageStream(person('alice'), embargoed)
    test.match(
      await over([team], { lookFurther, rights: ['my-team'] }).policy.decide(person('bob'), digest),
      {
        allowed: true,
      },
    )
    test.strictSame(looked, expected)
  },
)

await t.test('new facts cause a second decision; without new facts there is none', async (test) => {
  for (const hasNewFacts of [true, false]) {
    const { policy, asked } = over([embargoed], {
      rights: ['my-team'],
      lookFurther: async () => ({ hasNewFacts, isCertain: true }),
    })
    test.match(await policy.decide(person('alice'), digest), { allowed: false })
    test.equal(asked.length, hasNewFacts ? 2 : 1)
  }
})

await t.test('trap: facts that arrived during the first reviews are decided about, too', async (test) => {
  const streams: ImageStream[] = [embargoed]
  const { policy } = over(streams, {
    rights: ['my-team'],
    onReview: () => void streams.push(team),
    // It looks, and sees nothing that has not been there before it looked.
    lookFurther: async () => ({ hasNewFacts: false, isCertain: true }),
  })
  test.match(await policy.decide(person('alice'), digest), { allowed: true, grantedBy: 'my-team' })
})

await t.test('recent grants are reviewed first, whichever replica recorded them', async (test) => {
  const crowd = Array.from({ length: 40 }, (_, number) => ({ namespace: `n${number}-priv`, name: 'app' }))
  const told: string[] = []
  for (const [place, oldest] of [
    ['my-team/app', team],
    ['my-team/other', team],
    ['my-team', team],
  ] as const) {
    const isToldBy = (recentGrants: RecentGrants) =>
      over([oldest, ...crowd], { rights: ['my-team'], recentGrants })
    const nobody = isToldBy(localGrants())
    test.match(await nobody.policy.decide(person('alice'), digest), { allowed: false })
    test.equal(nobody.asked.length, 16)
    const another = isToldBy(
      createRecentGrants({
        publish: async (_holder, at) => void told.push(at),
        read: async () => [place],
      }),
    )
    test.match(await another.policy.decide(person('alice'), digest), { allowed: true, grantedBy: 'my-team' })
    test.match(
      await another.policy.decide(person('alice'), digest),
      { allowed: true },
      'and at once from now on',
    )
    test.equal(another.asked.length, 3 * 16)
  }
  test.strictSame(told, Array(6).fill('my-team/app'))
})

await t.test(
  'a recent grant of a named stream is reviewed before other streams of its namespace',
  async (test) => {
    const crowd = Array.from({ length: 40 }, (_, number) => ({ namespace: 'big-priv', name: `s${number}` }))
    const recentGrants = localGrants()
    await recentGrants.record(person('alice'), { namespace: 'big-priv', name: 's0' })
    const { policy } = over(crowd, { rights: ['big-priv/s0'], recentGrants })
    test.match(await policy.decide(person('alice'), digest), { allowed: true, grantedBy: 'big-priv' })
  },
)

await t.test(
  'a refusal without the facts of other replicas is premature; an error is thrown',
  async (test) => {
    for (const isCertain of [true, false]) {
      const { policy } = over([embargoed], { lookFurther: async () => ({ hasNewFacts: false, isCertain }) })
      const decision = await policy.decide(person('alice'), digest)
      test.strictSame([decision.allowed, decision.isPremature], [false, isCertain ? undefined : true])
    }
    const { policy } = over([embargoed], { lookFurther: () => Promise.reject(new Error('503')) })
    await test.rejects(async () => await policy.decide(person('alice'), digest), { message: '503' })
  },
)

await t.test('a digest that may be restricted is refused prematurely to QCI-wide users', async (test) => {
  const knowledge = { hasFollowedLive: () => false }
  const wide = over([], { knowledge, rights: ['ocp'] })
  test.match(await wide.policy.decide(person('alice'), digest), { allowed: false, isPremature: true })
  test.ok(wide.policy.decide(person('alice'), digest) instanceof Promise)
  const none = over([], { knowledge })
  const decision = await none.policy.decide(person('mallory'), digest)
  test.strictSame([decision.allowed, decision.isPremature], [false, undefined])
})

await t.test(
  'attack: a digest is refused after a multiple of a step, in however many namespaces it was seen',
  async (test) => {
    for (const streams of [
      [embargoed],
      Array.from({ length: 40 }, (_, number) => ({ namespace: `n${number}-priv` })),
    ]) {
      const { policy } = over(streams, { refusalStepMs: 60 })
      const startedAt = performance.now()
      await policy.decide(person('mallory'), digest)
      // Timers may be early by a part of a millisecond.
      test.ok(performance.now() - startedAt > 58)
    }
  },
)

await t.test('a caller may take a single function of it', async (test) => {
  const { decide, mayList, decideImageStream } = setUp().policy
  const tag = parse('my-team/app:latest')
  test.match(await decide(robot, tag), { allowed: true, rule: 'robot' })
  test.equal(await mayList(robot, tag), true)
  test.match(await decideImageStream(robot, { namespace: 'my-team' }), { allowed: true, rule: 'robot' })
})

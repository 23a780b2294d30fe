import t from 'tap'
import { datedBegin, isDated } from '../../../src/oci/tag-order.ts'
import { scanDated, scanLive, scanPrefix } from '../../../src/digests/restricted-index/tag-scan.ts'
import { createRandom } from '../fixtures.ts'
import { FakeUpstream, isRestrictedTag, type Order } from './upstream.ts'

const orders = ['bytes', 'text'] as const

const collect = async (pages: AsyncIterable<readonly string[]>): Promise<readonly string[]> => {
  const found: string[] = []
  for await (const page of pages) found.push(...page)
  return found
}

const live = async (upstream: FakeUpstream, isTextOrder = false) => {
  let told = 0
  const tags = await collect(
    scanLive({
      fetchPage: upstream.fetchPage,
      matters: (tag) => !isDated(tag) && isRestrictedTag(tag),
      isTextOrder,
      onTextOrder: () => {
        told += 1
      },
    }),
  )
  return { restricted: [...new Set(tags.filter(isRestrictedTag))].toSorted(), told }
}

const hex = (number: number) => number.toString(16).padStart(64, '0')
const stamp = (number: number) => String(20230101000000 + number * 7_000_003).padStart(14, '0')

/** A hundred thousand tags of every family. */
const large = (): readonly string[] => {
  const namespaces = Array.from({ length: 300 }, (_, number) => `ns${number}`)
  const restricted = ['ocp-priv', '3scale-priv', '2048-priv', 'zz-priv', 'openshift-priv', 'ns17-priv']
  return [
    ...namespaces.flatMap((namespace) => Array.from({ length: 200 }, (_, tag) => `${namespace}_app_${tag}`)),
    ...Array.from({ length: 20_000 }, (_, tag) => `ocp_4.15_${tag}`),
    ...Array.from({ length: 15_000 }, (_, tag) => `${stamp(tag)}_prune_ns${tag % 300}_app_${tag}`),
    ...Array.from({ length: 3000 }, (_, tag) => `202310${10 + (tag % 20)}_sha256_${hex(tag)}`),
    ...Array.from({ length: 500 }, (_, tag) => `sha256-${hex(tag)}.sig`),
    ...restricted.flatMap((namespace) =>
      Array.from({ length: 150 }, (_, tag) => [
        `${namespace}_4.15_${tag}`,
        ...(tag < 20 ? [`art__${namespace}_4.15_${tag}`, `preserved__${namespace}_4.15_${tag}`] : []),
        ...(tag < 20 ? [`__ci_images_mirror__${namespace}_4.15_${tag}`] : []),
      ]).flat(),
    ),
    ...Array.from({ length: 1000 }, (_, tag) => `art__ns${tag % 300}_app_${tag}`),
    'latest',
    'OCP_4.15_base',
    'A',
  ]
}

await t.test(
  'a hundred thousand tags: every restricted live tag is found in both orders, with few pages in byte order',
  async (test) => {
    const tags = large()
    const dated = /^\d{8}/
    const wanted = tags.filter((tag) => isRestrictedTag(tag) && !dated.test(tag)).toSorted()
    test.ok(tags.length > 100_000 && wanted.length > 900)
    for (const order of orders) {
      const upstream = new FakeUpstream(tags, order)
      const { restricted, told } = await live(upstream)
      test.strictSame(
        restricted.filter((tag) => !dated.test(tag)),
        wanted,
        order,
      )
      test.equal(told, order === 'bytes' ? 0 : 1)
      if (order === 'bytes')
        test.ok(
          upstream.pages < 300 + 300 + 60,
          `${upstream.pages} pages: one for each namespace and family, and the restricted ones`,
        )
      else test.ok(upstream.pages > tags.length / 100)
      const again = new FakeUpstream(tags, order)
      if (order === 'text') test.strictSame((await live(again, true)).told, 0, 'known from an earlier scan')
    }
  },
)

await t.test('generated: no jump over random tags skips a restricted namespace', async (test) => {
  const namespaces = [
    'ocp',
    'ocp-priv',
    'ocp-priv2',
    '3scale',
    '3scale-priv',
    '2048-priv',
    '2026-priv',
    'a',
    'a-priv',
    'a0-priv',
    'z9',
    'z9-priv',
    'OCP',
    'Ab',
  ]
  const families = [
    '',
    '',
    '',
    'art__',
    '__ci_images_mirror__',
    'preserved__',
    'remove__',
    'art____ci_images_mirror__',
    'new__',
  ]
  const rest = (random: (bound: number) => number) =>
    `${['4.5', '4', 'x_y', 'X', '_', 'a__pre'][random(6)]}_${random(30)}`
  for (let seed = 0; seed < 120; seed++) {
    const random = createRandom(seed)
    const tags = new Set<string>()
    for (let count = 20 + random(150); count > 0; count--) {
      const tag = `${families[random(families.length)]}${namespaces[random(namespaces.length)]}_${rest(random)}`
      tags.add(random(5) === 0 ? `${[2023, 2026, 2048][random(3)]}1010101010_prune_${tag}` : tag)
    }
    tags.add('latest')
    const wanted = [...tags].filter((tag) => isRestrictedTag(tag) && !/^\d{14}_/.test(tag)).toSorted()
    for (const order of orders) {
      const upstream = new FakeUpstream(tags, order, Date.now, 1 + random(12))
      const { restricted } = await live(upstream)
      test.strictSame(
        restricted.filter((tag) => !/^\d{14}_/.test(tag)),
        wanted,
        `${order} ${seed}`,
      )
    }
  }
})

await t.test(
  'a namespace that a jump over a year has skipped is found among the dated copies',
  async (test) => {
    const tags = ['20260101000000_prune_a_b_c', '20261-priv_a_b', '20261231000000_prune_a_b_c', 'z_a_b']
    const upstream = new FakeUpstream(tags, 'bytes', Date.now, 1)
    test.strictSame((await live(upstream)).restricted, [])
    test.ok((await collect(scanDated(upstream.fetchPage, datedBegin))).includes('20261-priv_a_b'))
  },
)

await t.test('a scan of a prefix yields all of its tags and no others, in both orders', async (test) => {
  const tags = [...large(), 'ocp-priv_x', 'ocp_priv_y', 'ocppriv_z', 'ocp-priv-a_b', 'ocp-privz_a']
  for (const order of orders)
    for (const prefix of ['ocp-priv_', 'art__ocp-priv_', 'sha256-', 'zz-priv_', '3scale-priv_', 'none_']) {
      const upstream = new FakeUpstream(tags, order)
      const found = await collect(scanPrefix(upstream.fetchPage, prefix))
      test.strictSame(
        [...found].toSorted(),
        tags.filter((tag) => tag.startsWith(prefix)).toSorted(),
        `${order} ${prefix}`,
      )
      if (order === 'text') continue
      const known = new FakeUpstream(tags, order)
      const same = await collect(scanPrefix(known.fetchPage, prefix, true))
      test.strictSame(same, found)
      test.ok(known.pages <= 1 + Math.ceil(found.length / 100), `${prefix}: ${known.pages} pages`)
    }
})

await t.test('a prefix is read to its end even if the order is not the promised one', async (test) => {
  const tags = ['ocp_priv_a', 'ocp-priv_b', 'ocp_priv_c', 'ocp-priv_d', 'ocp_z_a', 'z_a_b', 'z_a_c']
  const upstream = new FakeUpstream(tags, 'text', Date.now, 3)
  test.strictSame(await collect(scanPrefix(upstream.fetchPage, 'ocp-priv_', true)), [
    'ocp-priv_b',
    'ocp-priv_d',
  ])
})

await t.test(
  'dated copies are read from their beginning, or from an hour on, in both orders',
  async (test) => {
    const tags = large()
    const dated = tags.filter((tag) => /^\d{8}(?:\d{6}_prune|_sha256)_/.test(tag))
    for (const order of orders) {
      const upstream = new FakeUpstream(tags, order)
      const found = new Set(await collect(scanDated(upstream.fetchPage, datedBegin)))
      test.ok(
        dated.every((tag) => found.has(tag)),
        order,
      )
      test.ok(upstream.pages < 200, `${upstream.pages} pages`)
      const rest = new Set(await collect(scanDated(upstream.fetchPage, '2023101500')))
      test.ok(dated.filter((tag) => tag > '2023101500').every((tag) => rest.has(tag)))
      test.ok(rest.size < found.size)
    }
  },
)

await t.test(
  'tags that exist all the time are found in a list that changes while it is read',
  async (test) => {
    for (const order of orders) {
      const random = createRandom(7)
      const stable = Array.from(
        { length: 500 },
        (_, number) => `${['a', 'ocp-priv', 'z-priv'][number % 3]}_x_${number}`,
      )
      const upstream = new FakeUpstream(stable, order, Date.now, 10)
      upstream.before = () => {
        upstream.add(`b${random(1000)}_x_${random(1000)}`, `ocp-priv_new_${random(10_000)}`)
        upstream.remove(`a_x_${3 * random(160)}`)
      }
      const { restricted } = await live(upstream)
      const found = new Set(restricted)
      test.ok(
        stable.filter(isRestrictedTag).every((tag) => found.has(tag)),
        order,
      )
    }
  },
)

await t.test('an upstream that repeats a page is an error, and an empty list is not', async (test) => {
  const stuck = async () => ({ tags: ['a-priv_b_c'], more: true })
  const scans = {
    live: scanLive({
      fetchPage: stuck,
      matters: () => true,
      isTextOrder: true,
      onTextOrder: () => undefined,
    }),
    prefix: scanPrefix(stuck, 'a-priv_'),
    dated: scanDated(async () => ({ tags: ['20260101000000_prune_a_b_c'], more: true }), '20'),
  }
  for (const [name, scan] of Object.entries(scans))
    await test.rejects(collect(scan), { message: /the same page/ }, name)
  for (const order of orders as readonly Order[]) {
    const upstream = new FakeUpstream([], order)
    test.strictSame((await live(upstream)).restricted, [])
    test.strictSame(await collect(scanPrefix(upstream.fetchPage, 'a')), [])
    test.strictSame(await collect(scanDated(upstream.fetchPage, '20')), [])
  }
  const empty = async () => ({ tags: [], more: true })
  const nothing = { matters: () => true, isTextOrder: false, onTextOrder: () => undefined }
  test.strictSame(await collect(scanLive({ fetchPage: empty, ...nothing })), [])
  test.strictSame(await collect(scanPrefix(empty, 'a')), [])
  test.strictSame(await collect(scanDated(empty, 'a')), [])
})

await t.test('errors of upstream in a scan are thrown', async (test) => {
  const upstream = new FakeUpstream(large(), 'bytes')
  upstream.before = () => {
    if (upstream.pages === 3) throw new Error('unavailable')
  }
  await test.rejects(live(upstream), { message: 'unavailable' })
})

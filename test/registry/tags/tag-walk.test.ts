import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import type { Visibility } from '../../../src/registry/tags/tag-visibility.ts'
import { walkTags } from '../../../src/registry/tags/tag-walk.ts'

interface Setting {
  readonly tags: readonly string[]
  readonly hidden?: (namespace: string) => boolean
  readonly size?: number
  readonly canJump?: boolean
  /** As upstream's database sorts. */
  readonly compare?: (a: string, b: string) => number
}

const byBytes = (a: string, b: string) => (a < b ? -1 : Number(a > b))
/** As a database with a language's rules: letters and digits first, punctuation where they are the same. */
const letters = (text: string) => text.replaceAll(/[^a-z0-9]/gi, '').toLowerCase()
const byLetters = (a: string, b: string) => byBytes(letters(a), letters(b)) || byBytes(a, b)

const settle = ({ tags, hidden = () => false, size = 3, canJump = true, compare = byBytes }: Setting) => {
  const asked: (string | undefined)[] = []
  const decided = new Set<string>()
  const sorted = tags.toSorted(compare)
  const namespaceOf = (tag: string) => tag.split('_')[0] ?? ''
  const visibility: Visibility = {
    isVisible: async (tag) => {
      decided.add(namespaceOf(tag))
      return !hidden(namespaceOf(tag))
    },
    hiddenNamespace: async (tag) => (canJump && hidden(namespaceOf(tag)) ? namespaceOf(tag) : undefined),
    isSpent: () => decided.size >= 64,
    isQciWide: async () => false,
  }
  const fetchTags = async (after: string | undefined) => {
    asked.push(after)
    const rest = sorted.filter((tag) => after === undefined || compare(tag, after) > 0)
    return { tags: rest.slice(0, size), more: rest.length > size }
  }
  const walk = async (prefix: string, count = 100, after?: string, more = {}) => {
    decided.clear()
    return await walkTags({ fetchTags, visibility, prefix, count, after, ...more })
  }
  return { walk, asked }
}

const range = (count: number, name: (index: string) => string) =>
  Array.from({ length: count }, (_, index) => name(String(index).padStart(3, '0')))

await t.test('the walk jumps over a hidden namespace', async (t) => {
  const { walk, asked } = settle({
    tags: ['a_x_1', ...range(500, (index) => `b_x_${index}`), 'c_x_1'],
    hidden: (namespace) => namespace === 'b',
  })
  t.same(await walk(''), { tags: ['a_x_1', 'c_x_1'], stands: undefined, end: 'c_x_1' })
  t.same(asked, [undefined, 'b_~'])
})

await t.test(
  'a walk over slow pages ends with its position, and the next request goes on there',
  async (t) => {
    const { walk, asked } = settle({ tags: range(12, (index) => `a_x_${index}`) })
    let time = 0
    const now = () => (time += 4000)
    const first = await walk('', 100, undefined, { now })
    t.same(first.tags.length, 9, 'the page that is late is the last one')
    t.same(first.stands, { after: 'a_x_008', isVisible: false })
    const second = await walk('', 100, first.stands?.after, { now })
    t.same(second, { tags: ['a_x_009', 'a_x_010', 'a_x_011'], stands: undefined, end: 'a_x_011' })
    const late = await walk('', 100, undefined, { now, maxMs: 0 })
    t.same(late.tags.length, 3, 'every walk reads a page')
    t.equal(asked.length, 5)
  },
)

await t.test('with another sort order the walk reads page by page, and misses nothing', async (t) => {
  const { walk, asked } = settle({
    tags: ['a_x_1', ...range(9, (index) => `b_x_${index}`), 'bc_x_1', 'c_x_1'],
    hidden: (namespace) => namespace === 'b',
    compare: byLetters,
  })
  const { tags, stands } = await walk('')
  t.same([tags, stands], [['a_x_1', 'bc_x_1', 'c_x_1'], undefined])
  t.ok(asked.length <= 6)
})

await t.test('an image stream is read to its end in any sort order', async (t) => {
  const tags = [
    'ocp_4.4_a',
    'ocp_4.5_a',
    'ocp_4.5_b',
    'ocp_45_x',
    'ocp_4.5_z',
    'ocp_4.50_a',
    'ocp_4.6_a',
    'ocp_5_a',
  ]
  for (const compare of [byBytes, byLetters]) {
    const { walk } = settle({ tags, compare })
    t.same((await walk('ocp_4.5_')).tags.toSorted(), ['a', 'b', 'z'])
  }
})

await t.test('limits: pages, namespaces, and a hidden position', async (t) => {
  const hiddenPrunes = settle({
    tags: range(100, (index) => `2024_${index}`),
    hidden: () => true,
    size: 1,
    canJump: false,
  })
  const { tags, stands } = await hiddenPrunes.walk('', 100, '2024_001')
  t.same([tags, stands?.isVisible], [[], false])
  t.ok(hiddenPrunes.asked.length <= 20)
  const many = settle({ tags: range(300, (index) => `n${index}_x_1`), size: 100 })
  const first = await many.walk('', 1000)
  t.equal(first.tags.length, 64)
  t.same(first.stands, { after: 'n063_x_1', isVisible: false })
  const second = await many.walk('', 1000, first.stands?.after)
  t.equal(second.tags[0], 'n064_x_1')
})

await t.test('the requested number of tags, and whether there are more', async (t) => {
  const { walk } = settle({ tags: range(6, (index) => `a_x_${index}`) })
  t.same(await walk('a_x_', 2), {
    tags: ['000', '001'],
    stands: { after: '001', isVisible: true },
    end: 'a_x_001',
  })
  t.same((await walk('a_x_', 3)).stands, { after: '002', isVisible: true }, 'a page of upstream is full')
  t.same(await walk('a_x_', 6), {
    tags: ['000', '001', '002', '003', '004', '005'],
    stands: undefined,
    end: 'a_x_005',
  })
  t.same(await walk('a_x_', 0), { tags: [], stands: undefined, end: '' })
  t.same(await walk('', 5, 'z'), { tags: [], stands: undefined, end: 'z' }, 'nothing behind where it began')
})

await t.test('an upstream with endless empty pages is read for a limited time', async (t) => {
  let asked = 0
  const fetchTags = async () => ({ tags: [], more: ++asked > 0 })
  const visibility: Visibility = {
    isVisible: async () => true,
    hiddenNamespace: async () => undefined,
    isSpent: () => false,
    isQciWide: async () => false,
  }
  t.same(await walkTags({ fetchTags, visibility, prefix: '', count: 1, after: undefined }), {
    tags: [],
    stands: undefined,
    end: '',
  })
  t.equal(asked, 20)
})

await t.test('a failure after the first page: the tags so far, and a position', async (t) => {
  const visibility: Visibility = {
    isVisible: async () => true,
    hiddenNamespace: async () => undefined,
    isSpent: () => false,
    isQciWide: async () => false,
  }
  const failing = (error: Error) => async (after: string | undefined) => {
    if (after !== undefined) throw error
    return { tags: ['a_x_1', 'a_x_2'], more: true }
  }
  const limit = new RegistryError('TOOMANYREQUESTS', 'slower')
  const walk = { visibility, prefix: '', count: 100, after: undefined }
  t.same(await walkTags({ ...walk, fetchTags: failing(limit) }), {
    tags: ['a_x_1', 'a_x_2'],
    stands: { after: 'a_x_2', isVisible: false },
    end: 'a_x_2',
  })
  await t.rejects(walkTags({ ...walk, fetchTags: failing(limit), after: 'a_x_2' }), limit)
  const mistake = new Error('of ours')
  await t.rejects(walkTags({ ...walk, fetchTags: failing(mistake) }), mistake)
})

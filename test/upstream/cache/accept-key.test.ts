import t from 'tap'
import { everyMediaType } from '../../../src/upstream/manifests.ts'
import { acceptKeys, createAcceptSets } from '../../../src/upstream/cache/accept-key.ts'

const index = 'application/vnd.oci.image.index.v1+json'
const manifest = 'application/vnd.oci.image.manifest.v1+json'

await t.test('another spelling of the same set has the same key', async (test) => {
  const setOf = createAcceptSets()
  const { key, accept } = setOf(`${index}, ${manifest}`)
  test.equal(accept, `${index}, ${manifest}`)
  for (const spelling of [
    `${manifest}, ${index}`,
    `${manifest},${index}`,
    ` ${manifest} ,\t${index},`,
    `${manifest};q=0.5, ${index}; charset=utf-8 ;q=1`,
    `${manifest};q=0, ${index}`,
    `${manifest.toUpperCase()}, ${index}`,
    `${manifest}, ${index}, ${manifest}`,
  ])
    test.strictSame(setOf(spelling), { key, accept }, spelling)
})

await t.test('trap 22: different sets have different keys', async (test) => {
  const setOf = createAcceptSets()
  const spellings = [
    undefined,
    index,
    manifest,
    `${index}, ${manifest}`,
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
    'application/*',
  ]
  const sets = spellings.map(setOf)
  for (const field of ['key', 'accept'] as const)
    test.equal(new Set(sets.map((set) => set[field])).size, spellings.length, field)
})

await t.test('attack: a type that is not stored makes no new set', async (test) => {
  const setOf = createAcceptSets()
  const spellings = Array.from({ length: 1000 }, (_, type) => `application/x${type}+json`)
  const keys = spellings.map((type) => setOf(`${index}, ${type}, */*`).key)
  test.strictSame([...new Set(keys)], [setOf(index).key])
  for (const type of [...spellings, 'application/*', `${index}${manifest}`, 'x'.repeat(4095)])
    test.strictSame(setOf(type), { key: '', accept: 'application/json' })
})

await t.test('trap 22: a missing Accept means every type', async (test) => {
  const setOf = createAcceptSets()
  const all = setOf(undefined)
  test.strictSame(
    all.accept.split(', '),
    everyMediaType.split(', ').toSorted(),
    'each by its name: to quay */* says nothing',
  )
  for (const spelling of ['', '  ', ',', '*/*', ' */* ', '*/*;q=0.8', '*/*, */*;q=0.1', everyMediaType])
    test.strictSame(setOf(spelling), all, JSON.stringify(spelling))
})

await t.test('a cached spelling is not parsed again', async (test) => {
  const setOf = createAcceptSets()
  test.equal(setOf(index), setOf(index))
  test.equal(setOf(undefined), setOf(undefined))
})

await t.test('attack on time: 64 kB of types are neither parsed nor sent on', async (test) => {
  const setOf = createAcceptSets()
  const many = Array.from({ length: 12_000 }, (_, type) => `x${type}/`).join(',')
  const { accept } = setOf(`${index},${many}`)
  test.equal(accept, index, 'who asks for what there is says so first')
})

await t.test('attack on memory: ever new spellings, and long ones', async (test) => {
  const setOf = createAcceptSets()
  const long = `${index};${'x'.repeat(1024)}`
  test.not(setOf(long), setOf(long), 'a long one is read each time')
  const first = setOf(index)
  for (let spelling = 0; spelling < 300; spelling++) setOf(`application/x${spelling}`)
  test.not(setOf(index), first, 'was pushed out')
  test.strictSame(setOf(index), first)
})

await t.test('every set of stored types has its key in the list of all keys', async (test) => {
  test.equal(new Set(acceptKeys).size, 2 ** 7)
  const setOf = createAcceptSets()
  for (const accept of [undefined, '', 'text/plain', 'application/vnd.oci.image.index.v1+json, text/plain'])
    test.ok(acceptKeys.includes(setOf(accept).key), `${accept}`)
})

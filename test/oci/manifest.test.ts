import t from 'tap'
import {
  hasSchemaVersion,
  maxDescriptors,
  maxManifestDepth,
  mentionsIn,
  parseManifest,
} from '../../src/oci/manifest.ts'
import type { ManifestContent } from '../../src/oci/manifest.ts'
import type { Digest } from '../../src/oci/reference.ts'
import { randomFrom } from './random.ts'

const nth = (index: number) => `sha256:${index.toString(16).padStart(64, '0')}` as Digest
const of = (letter: string) => nth(Number.parseInt(letter, 16))
const parse = (value: unknown) =>
  parseManifest(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))
const index = 'application/vnd.oci.image.index.v1+json'
const nothing: ManifestContent = { manifests: [], blobs: [], sizes: [], subject: undefined }

const rows: Record<string, [unknown, Partial<ManifestContent>]> = {
  'an image': [
    { config: { digest: of('a'), size: 1 }, layers: [{ digest: of('b'), size: 2 }, { digest: of('c') }] },
    {
      blobs: [of('a'), of('b'), of('c')],
      sizes: [
        [of('a'), 1],
        [of('b'), 2],
      ],
    },
  ],
  'an index, whatever its entries are said to be': [
    { manifests: [{ digest: of('a'), size: 7, mediaType: 'a/b' }, { digest: of('b') }] },
    { manifests: [of('a'), of('b')] },
  ],
  'an OCI artifact': [{ blobs: [{ digest: of('a'), size: 3 }] }, { blobs: [of('a')], sizes: [[of('a'), 3]] }],
  'a field that nobody knows, at any place': [
    { future: { of: [{ some: { digest: of('a') } }] }, layers: [[{ digest: of('b') }]] },
    { blobs: [of('a'), of('b')] },
  ],
  'a list in place of an object': [[{ digest: of('a') }], { blobs: [of('a')] }],
  'a manifest by its type, in any field and case': [
    {
      parts: [
        { digest: of('a'), mediaType: index.toUpperCase() },
        { digest: of('b'), mediaType: 5 },
      ],
    },
    { manifests: [of('a')], blobs: [of('b')] },
  ],
  'schema 1': [
    { fsLayers: [{ blobSum: of('a') }, { blobSum: of('a') }, { blobSum: of('b') }] },
    { blobs: [of('a'), of('b')] },
  ],
  'schema 1, within a JSON Web Signature': [
    {
      payload: Buffer.from(JSON.stringify({ fsLayers: [{ blobSum: of('a') }] })).toString('base64url'),
      signatures: [{ protected: 'x' }],
    },
    { blobs: [of('a')] },
  ],
  'a payload that is no JSON': [{ payload: 'e30', layers: [{ digest: of('a') }] }, { blobs: [of('a')] }],
  'a payload that is none': [{ payload: '????' }, {}],
  'a payload that is no text': [{ payload: 7 }, {}],
  'the subject points up': [
    { subject: { digest: of('a'), size: 1 }, layers: [{ digest: of('b') }] },
    { subject: of('a'), blobs: [of('b')] },
  ],
  'a subject that names nothing': [{ subject: null }, {}],
  'a subject further down is in the manifest': [
    { layers: [{ subject: { digest: of('a') } }] },
    { blobs: [of('a')] },
  ],
  'annotations are text': [
    {
      annotations: { digest: of('a') },
      layers: [{ digest: of('b'), annotations: { digest: of('c'), deep: { digest: of('d') } } }],
    },
    { blobs: [of('b')] },
  ],
  'attack: names that only some readers take for the same': [
    { Layers: [{ Digest: of('a'), SIZE: 4, digeſt: of('b') }], ſubject: { DIGEST: of('c') } },
    {
      blobs: [of('a'), of('b')],
      sizes: [
        [of('a'), 4],
        [of('b'), 4],
      ],
      subject: of('c'),
    },
  ],
  'attack: a name of the prototype': [
    '{"__proto__":{"digest":"' + of('a') + '"},"constructor":[{"digest":"' + of('b') + '"}]}',
    { blobs: [of('a'), of('b')] },
  ],
  'two sizes of one blob are both told': [
    {
      layers: [
        { digest: of('a'), size: 1 },
        { digest: of('a'), size: 2 },
        { digest: of('a'), size: 2 },
      ],
    },
    {
      blobs: [of('a')],
      sizes: [
        [of('a'), 1],
        [of('a'), 2],
      ],
    },
  ],
  'sizes that no blob has': [
    { layers: [0, -1, 1.5, '2', null, 2 ** 60].map((size) => ({ digest: of('a'), size })) },
    { blobs: [of('a')] },
  ],
  'what is no digest': [
    { digest: of('d'), layers: [{ digest: 'sha256:a' }, { digest: null }, { digest: { digest: 1 } }, null] },
    {},
  ],
  null: [null, {}],
  'a number': [5, {}],
  'a text': ['"text"', {}],
}

for (const [name, [value, expected]] of Object.entries(rows))
  await t.test(name, (test) => {
    test.strictSame(parse(value), { ...nothing, ...expected })
    test.end()
  })

await t.test('text that is not JSON, and JSON with a field twice', (test) => {
  for (const text of [
    '',
    'no JSON',
    '{"layers":[',
    '{"a":1,"a":2}',
    `{"layers":[{"digest":"${of('a')}"}],"layers":[]}`,
    `{"config":{"digest":"${of('a')}","digest":"${of('b')}"}}`,
  ])
    test.equal(parse(text), 'not-json', text)
  test.equal(typeof parse('{"a:":":,{}[]","b\\"":"\\"\\\\"}'), 'object', 'in a string everything is text')
  test.end()
})

await t.test('every digest in the text of content that cannot be parsed', (test) => {
  const sha512 = `sha512:${'c'.repeat(128)}`
  const mentions = (text: string) => mentionsIn(Buffer.from(text))
  test.strictSame(mentions(''), [])
  test.strictSame(
    mentions(`{"layers":[{"digest":"${of('a')}"}],"layers":[{"digest":"${of('b')}"},"${of('a')} ${sha512}"]`),
    [of('a'), of('b'), sha512],
  )
  test.strictSame(
    mentions(`"\\u0073ha256\\u003A${of('a').slice(7).replace(/^./, '\\u0061')}"`).length,
    1,
    'attack: escapes hide a digest',
  )
  test.strictSame(mentions(`sha256:${'A'.repeat(64)} sha256:${'a'.repeat(63)} ${of('a').slice(0, -1)}`), [])
  // Attack: patterns that take quadratic time.
  test.strictSame(mentions('sha256:'.repeat(600_000)), [])
  test.strictSame(mentions('\\u00'.repeat(1_000_000)), [])
  test.end()
})

await t.test('attack: the payload of a signature that clients may read, and this parser does not', (test) => {
  const payload = Buffer.from(`{"fsLayers":[{"blobSum":"${of('a')}"}],"fsLayers":[]}`).toString('base64url')
  test.strictSame(parse({ payload, signatures: [] }), { ...nothing, blobs: [of('a')] })
  test.end()
})

await t.test('attack: too many descriptors, levels or values', (test) => {
  const layers = (length: number) => Array.from({ length }, (_, at) => ({ digest: nth(at), size: 1 }))
  const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  const payload = (text: string) => ({ payload: Buffer.from(text).toString('base64url') })
  const most = parse({ layers: layers(maxDescriptors) })
  test.equal(typeof most === 'object' && most.blobs.length, maxDescriptors)
  test.equal(typeof parse(deep(maxManifestDepth)), 'object')
  const rows = {
    descriptors: { layers: layers(maxDescriptors + 1) },
    'descriptors, the same one again and again': {
      layers: Array.from({ length: 48_000 }, () => ({ digest: of('a') })),
    },
    'descriptors in several fields': { config: { digest: of('a') }, x: { y: layers(maxDescriptors) } },
    'descriptors of a payload': { ...payload(JSON.stringify(layers(maxDescriptors))), x: layers(1) },
    depth: deep(maxManifestDepth + 1),
    'depth that never ends': '['.repeat(2_000_000),
    'depth of a payload': payload(deep(maxManifestDepth + 1)),
    containers: `[${Array(100_000).fill('[]').join(',')}]`,
    names: Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`name ${at}`, 1])),
    values: Array(50_000).fill(1),
  }
  for (const [name, value] of Object.entries(rows)) test.equal(parse(value), 'too-large', name)
  test.equal(typeof parse({ text: '[{,:'.repeat(100_000) }), 'object', 'a long text is not much')
  test.end()
})

await t.test('one content is parsed once', (test) => {
  for (const content of ['{"layers":[]}', 'no JSON'].map((text) => Buffer.from(text))) {
    const first = parseManifest(content)
    content.fill(' ')
    test.equal(parseManifest(content), first)
  }
  test.end()
})

await t.test('generated: every descriptor is found, whatever is around it', (test) => {
  const random = randomFrom(7)
  const pick = <Value>(values: readonly Value[]) => values[Math.floor(random() * values.length)] as Value
  for (let round = 0; round < 500; round++) {
    let next = 0
    const expected = { manifests: new Set<Digest>(), blobs: new Set<Digest>() }
    const shape = (depth: number, field: string): unknown => {
      const kind = depth > 6 ? 3 : Math.floor(random() * 4)
      if (kind === 0) return Array.from({ length: 1 + random() * 4 }, () => shape(depth + 1, field))
      if (kind === 1) return fieldsOf(depth)
      if (kind === 2) {
        const digest = nth(next++)
        const mediaType = pick([index, 'application/octet-stream', undefined])
        expected[mediaType === index || field === 'manifests' ? 'manifests' : 'blobs'].add(digest)
        return { ...fieldsOf(depth), digest, mediaType, size: next }
      }
      return pick(['{"digest":"sha256:a"}', '\\"', null, 1, true, { annotations: { digest: nth(next++) } }])
    }
    const names = ['manifests', 'layers', 'config', 'blobs', 'unheard of', '"[{', 'subjects']
    const fieldsOf = (depth: number): object =>
      Object.fromEntries(
        [...new Set(Array.from({ length: random() * 3 }, () => pick(names)))].map((name) => [
          name,
          shape(depth + 1, name),
        ]),
      )
    const found = parse({ root: shape(0, 'root'), manifests: shape(0, 'manifests') })
    if (typeof found === 'string') throw new Error(found)
    for (const kind of ['manifests', 'blobs'] as const)
      if (JSON.stringify(found[kind].toSorted()) !== JSON.stringify([...expected[kind]].toSorted()))
        test.fail(`round ${round}: ${kind}`)
  }
  test.pass('all of them')
  test.end()
})

await t.test('broken JSON never throws, and yields nothing that is not in the bytes', (test) => {
  const random = randomFrom(11)
  const whole = Buffer.from(
    JSON.stringify({ config: { digest: of('a') }, layers: [{ digest: of('b'), annotations: { x: '\\"' } }] }),
  )
  for (let round = 0; round < 3000; round++) {
    const broken = Buffer.from(whole)
    for (let change = 0; change < 1 + random() * 3; change++)
      broken[Math.floor(random() * broken.length)] = '"{}[]:,\\ \u00fft'.charCodeAt(Math.floor(random() * 11))
    const found = parseManifest(broken.subarray(0, Math.floor(random() * 2 * broken.length)))
    const text = broken.toString('latin1')
    if (typeof found === 'object')
      for (const digest of [...found.blobs, ...found.manifests])
        if (!text.includes(digest)) test.fail(`round ${round}`)
  }
  test.pass('all of them')
  test.end()
})

await t.test('a manifest is recognised by its schemaVersion', (test) => {
  test.equal(hasSchemaVersion(Buffer.from('{"schemaVersion":2}')), true)
  for (const text of ['{}', 'null', '5', '"schemaVersion"', '["schemaVersion"]', '{"a":{"schemaVersion":2}}'])
    test.equal(hasSchemaVersion(Buffer.from(text)), false, text)
  test.end()
})

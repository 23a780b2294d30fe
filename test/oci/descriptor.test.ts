import t from 'tap'
import { isMediaType, readDescriptor } from '../../src/oci/descriptor.ts'

const digest = `sha256:${'a'.repeat(64)}`
const mediaType = 'application/vnd.oci.image.manifest.v1+json'
const least = { mediaType, digest, size: 5 }

await t.test('fields of the specification pass, others are dropped', async (test) => {
  const whole = { ...least, artifactType: 'application/spdx+json', annotations: { a: 'b', c: '' } }
  test.strictSame(readDescriptor(least), least)
  test.strictSame(
    readDescriptor({ ...whole, urls: ['http://elsewhere'], data: 'x', platform: {}, foreign: 1 }),
    whole,
  )
})

await t.test('annotations that are not text are left out', async (test) => {
  for (const artifactType of ['', 'x', 5, null, {}, 'a/b\r\nc'])
    test.strictSame(readDescriptor({ ...least, artifactType }), least)
  for (const annotations of [null, 5, 'x', ['a']])
    test.strictSame(readDescriptor({ ...least, annotations }), least)
  const annotations = JSON.parse('{"a":5,"b":null,"c":"d","__proto__":"e"}') as unknown
  const read = readDescriptor({ ...least, annotations })
  test.equal(JSON.stringify(read?.annotations), '{"c":"d","__proto__":"e"}')
})

await t.test('an incomplete descriptor is rejected', async (test) => {
  for (const value of [
    null,
    undefined,
    5,
    'x',
    [],
    {},
    { ...least, digest: 'sha384:x' },
    { ...least, digest: 5 },
    { ...least, mediaType: 'x' },
    { ...least, mediaType: undefined },
    { ...least, size: '5' },
    { ...least, size: -1 },
    { ...least, size: 0.5 },
    { ...least, size: 2 ** 53 },
  ])
    test.equal(readDescriptor(value), undefined, JSON.stringify(value))
})

await t.test('media types are recognised', async (test) => {
  test.ok(isMediaType('text/plain'))
  for (const value of ['text', 'text/', '/plain', 'a/b/c', `${'a'.repeat(128)}/b`, 5])
    test.notOk(isMediaType(value))
})

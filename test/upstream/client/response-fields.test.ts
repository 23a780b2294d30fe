import t from 'tap'
import { isUnencoded, mediaTypeOf, single } from '../../../src/upstream/client/response-fields.ts'

await t.test('a media type is read without parameters and blanks', (test) => {
  const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  for (const spelling of [type, type.toUpperCase()])
    for (const around of ['', ' ', '\t'])
      for (const parameters of ['', ';', '; charset=utf-8', ';charset="a;b"', ' ; a=b; c=d'])
        test.equal(mediaTypeOf({ 'content-type': `${around}${spelling}${around}${parameters}` }), type)
  test.equal(
    mediaTypeOf({ 'content-type': [type, 'a/b'] }),
    type,
    'the first of several fields counts fields',
  )
  for (const unreadable of [
    undefined,
    '',
    ';',
    'a',
    'a/',
    '/b',
    'a/b/c',
    'a b/c',
    'a/b, c/d',
    `a/${'b'.repeat(128)}`,
  ])
    test.equal(mediaTypeOf({ 'content-type': unreadable }), undefined, String(unreadable))
  test.end()
})

await t.test('encodings are recognised', (test) => {
  const none = [
    undefined,
    '',
    ' ',
    'identity',
    'Identity',
    'IDENTITY ',
    'identity, identity',
    ['identity', ''],
  ]
  const some = ['gzip', 'identity, gzip', ['identity', 'zstd'], 'x', 'gzip, chunked']
  const chunked = ['chunked', 'Chunked', ' CHUNKED ', 'identity, chunked']
  for (const content of [...none, ...some, ...chunked])
    for (const transfer of [...none, ...some, ...chunked, 'chunked, chunked'])
      test.equal(
        isUnencoded({ 'content-encoding': content, 'transfer-encoding': transfer }),
        none.includes(content) && [...none, ...chunked].includes(transfer),
        `${String(content)} / ${String(transfer)}`,
      )
  test.end()
})

await t.test('the first of several', (test) => {
  test.strictSame([single(['a', 'b']), single('a'), single(undefined)], ['a', 'a', undefined])
  test.end()
})

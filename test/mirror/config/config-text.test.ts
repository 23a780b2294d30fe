import { gzipSync } from 'node:zlib'
import t from 'tap'
import {
  ConfigTextError,
  decodeConfig,
  maxConfigBytes,
  readConfigText,
} from '../../../src/mirror/config/config-text.ts'

const problemOf = (content: Buffer) => {
  try {
    decodeConfig(content)
  } catch (error) {
    return (error as ConfigTextError).problem
  }
  return undefined
}

await t.test('text, also of gzip, and without a byte order mark', async (t) => {
  t.equal(decodeConfig(Buffer.from('a: ä\n')), 'a: ä\n')
  t.equal(decodeConfig(gzipSync('a: ä\n')), 'a: ä\n')
  t.equal(decodeConfig(Buffer.from('\uFEFFa: b')), 'a: b')
  t.equal(decodeConfig(Buffer.alloc(0)), '')
})

await t.test('attack: a file that is too large, and a gzip file that unpacks to too much', async (t) => {
  t.equal(decodeConfig(Buffer.alloc(maxConfigBytes, 'a')).length, maxConfigBytes)
  const large = Buffer.alloc(maxConfigBytes + 1, 'a')
  t.match(problemOf(large)?.message, /more than 1048576 bytes/)
  t.match(problemOf(gzipSync(large))?.message, /more than 1048576 bytes/)
})

await t.test('bytes that are not text, with their position', async (t) => {
  t.match(problemOf(Buffer.from([0x61, 0x0a, 0xc3, 0xa4, 0x62, 0xff])), {
    position: { line: 2, column: 3 },
    message: 'the file is not text in UTF-8',
  })
  t.match(problemOf(Buffer.from('\uFEFFab', 'utf16le')), { position: { line: 1, column: 1 } })
  t.match(problemOf(Buffer.from([0x1f, 0x8b, 0]))?.message, /begins as gzip, and cannot be unpacked/)
})

await t.test('files, and a directory', async (t) => {
  const folder = t.testdir({ good: 'a: b', large: 'a'.repeat(maxConfigBytes + 1) })
  t.equal(readConfigText(`${folder}/good`), 'a: b')
  t.throws(() => readConfigText(`${folder}/large`), ConfigTextError)
  t.throws(() => readConfigText('/dev/zero'), ConfigTextError)
  t.throws(() => readConfigText(folder), /the path is a directory; name the file/)
  t.throws(() => readConfigText(`${folder}/none`), { code: 'ENOENT' })
})

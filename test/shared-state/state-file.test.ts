import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { maxChildren } from '../../src/shared-state/fact-codec.ts'
import { readStateFile, writeStateFile } from '../../src/shared-state/state-file.ts'
import { namesFact, tagFact } from './support.ts'

const index = {
  liveCompleteAt: 1,
  datedCompleteAt: undefined,
  datedSeenUpTo: '2026',
  namespaces: ['ocp-priv'],
}

await t.test('a written state is read', async (test) => {
  const path = join(test.testdir(), 'state')
  test.equal(await readStateFile(path), undefined, 'no file, nothing known')
  const facts = [
    tagFact('base'),
    tagFact('secret', true),
    ...Array.from({ length: 400 }, (_, at) => namesFact(`image ${at}`, 10, at % 2 === 0)),
  ]
  await writeStateFile(path, { index, facts: [...facts, namesFact('too many', maxChildren + 1)] }, 5)
  test.same(await readStateFile(path), { index, facts })
  test.equal(statSync(path).mode & 0o777, 0o600)
  await writeStateFile(path, { index: undefined, facts: [] }, 5)
  test.same(await readStateFile(path), { index: undefined, facts: [] })
  test.same(readdirSync(join(path, '..')), ['state'])
})

await t.test('a file with any damage is not used', async (test) => {
  const path = join(test.testdir(), 'state')
  await writeStateFile(path, { index, facts: [tagFact('secret', true), namesFact('secret', 2, true)] }, 5)
  const whole = readFileSync(path)
  for (let at = 0; at < whole.length; at += 1) {
    const broken = Buffer.from(whole)
    broken[at]! ^= 1
    writeFileSync(path, broken)
    await test.rejects(readStateFile(path), { message: at < 19 ? /another program or version/ : /checksum/ })
    writeFileSync(path, whole.subarray(0, at))
    await test.rejects(readStateFile(path))
  }
})

await t.test('a valid checksum over something that is no fact', async (test) => {
  const path = join(test.testdir(), 'state')
  const content = Buffer.concat([
    Buffer.from('quay-proxy state 1\n'),
    Buffer.alloc(4),
    Buffer.from('t'),
    Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 65, 66]),
  ])
  writeFileSync(path, Buffer.concat([content, createHash('sha256').update(content).digest()]))
  await test.rejects(readStateFile(path), { message: 'it holds what is no fact' })
})

await t.test('a failed read or write is an error, and the old file stays', async (test) => {
  const directory = test.testdir({ folder: {} })
  await test.rejects(readStateFile(join(directory, 'folder')), { message: 'it cannot be read (EISDIR)' })
  await test.rejects(writeStateFile(join(directory, 'none', 'state'), { index, facts: [] }, 0), {
    code: 'ENOENT',
  })
  const path = join(directory, 'state')
  await writeStateFile(path, { index, facts: [] }, 0)
  const failing = (function* () {
    yield tagFact('base')
    throw new Error('no more')
  })()
  await test.rejects(writeStateFile(path, { index: undefined, facts: failing }, 0), { message: 'no more' })
  test.same(await readStateFile(path), { index, facts: [] })
})

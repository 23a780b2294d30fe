import { Readable } from 'node:stream'
import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import { failureOfMirror, imageIn, queueIn, readBody } from '../../../src/page/mirror-queue/mirror-answer.ts'
import { thrown } from '../../support/thrown.ts'
import { image, queue, task } from './fake-mirror.ts'

const answer = (status: number, body: unknown) => ({
  status,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
})
const unusable = (what: string) => ({
  status: 502,
  code: 'UNAVAILABLE',
  message: `the answer of the mirror cannot be used: ${what}`,
})

await t.test('a queue', async (test) => {
  test.strictSame(queueIn(answer(200, queue)), queue)
  test.strictSame(queueIn(answer(200, { mirrors: null, total: 0 })), { mirrors: null, total: 0 })
  for (const body of ['', 'null', '[]', '{}', '<html>', { mirrors: null }, { mirrors: 1, total: 1 }])
    test.match(
      thrown(() => queueIn(answer(200, body))),
      unusable('it has not the form of a queue'),
    )
  for (const broken of [null, 'x', { ...task, state: 1 }, { ...task, failures: 'x' }])
    test.match(
      thrown(() => queueIn(answer(200, { mirrors: [broken], total: 1 }))),
      unusable('it has not the form of a queue'),
    )
  test.match(
    thrown(() => queueIn(answer(200, '['.repeat(100_000)))),
    unusable('it has not the form of a queue'),
  )
  for (const status of [302, 401, 500])
    test.match(
      thrown(() => queueIn(answer(status, queue))),
      unusable(`it answered ${status}`),
    )
})

await t.test('an image', async (test) => {
  test.strictSame(imageIn(answer(200, image), image.target, true), image)
  test.strictSame(imageIn(answer(202, image), image.target, true), image)
  const other = thrown(() => imageIn(answer(200, image), 'a/b:c', true))
  test.match(other, unusable('it has not the form of an image'), 'attack: the image of another team')
  test.match(
    thrown(() => imageIn(answer(200, 'x'), 'a/b:c', true)),
    unusable('it has not the form of an image'),
  )
  test.match(
    thrown(() => imageIn(answer(500, 'x'), 'a/b:c', true)),
    unusable('it answered 500'),
  )
  const sentence = 'a/b:c is not in the configuration; did you mean secret/b:c?'
  test.match(
    thrown(() => imageIn(answer(404, `${sentence}\n`), 'a/b:c', true)),
    {
      status: 404,
      code: 'NAME_UNKNOWN',
      message: sentence,
    },
  )
  test.match(
    thrown(() => imageIn(answer(404, sentence), 'a/b:c', false)),
    {
      status: 404,
      message: /^a\/b:c is not in the configuration of the mirror$/,
    },
  )
  test.match(
    thrown(() => imageIn(answer(409, 'a dry run\u001b[2J'), 'a/b:c', false)),
    {
      status: 409,
      code: 'UNSUPPORTED',
      message: 'a dry run?[2J',
    },
  )
})

await t.test('a body, within its bound and its deadline', async (test) => {
  const { signal } = new AbortController()
  test.equal((await readBody(Readable.from([Buffer.from('ab'), Buffer.from('c')]), signal)).toString(), 'abc')
  const endless = new Readable({
    read() {
      this.push(Buffer.alloc(64 * 1024))
    },
  })
  await test.rejects(readBody(endless, signal), unusable('it is too large'))
  test.equal(endless.destroyed, true)
  const ending = new AbortController()
  const silent = new Readable({ read() {} })
  const reading = readBody(silent, ending.signal)
  ending.abort(new Error('too late'))
  await test.rejects(reading, { message: 'too late' })
  await test.rejects(readBody(new Readable({ read() {} }), ending.signal), { message: 'too late' })
})

await t.test('failures', async (test) => {
  const own = new RegistryError('DENIED', 'no')
  test.equal(failureOfMirror(own), own)
  const codeOf = (code: string) => Object.assign(new Error('x'), { code })
  const late = { status: 504, code: 'UNAVAILABLE', message: 'the mirror is too slow; try again in a moment' }
  test.match(failureOfMirror(codeOf('UND_ERR_BODY_TIMEOUT')), late)
  test.match(failureOfMirror(new Error('x', { cause: codeOf('UND_ERR_HEADERS_TIMEOUT') })), late)
  test.match(failureOfMirror(new DOMException('x', 'TimeoutError')), late)
  test.match(failureOfMirror(codeOf('ECONNREFUSED')), {
    status: 503,
    code: 'UNAVAILABLE',
    message: 'the mirror cannot be reached; try again in a moment',
    headers: { 'retry-after': '5' },
  })
})

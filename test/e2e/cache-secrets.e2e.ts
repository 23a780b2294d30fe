import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { startQuay } from '../../src/sandbox/quay/quay.ts'
import { ask, image } from './cached-stack.ts'
import { missing } from './process.ts'
import { startCache } from './pull-through-cache.ts'

const skip = missing('docker-registry')

const username = 'openshift+ci_reader'

await test('the secrets of the cache are as docs/cache.md says', { skip }, async (suite) => {
  const directory = await mkdtemp(join(tmpdir(), 'quay-proxy-cache-secrets-'))
  suite.teardown(async () => await rm(directory, { recursive: true, force: true }))
  const quay = await startQuay({ robot: { username, password: 'set below' } })
  suite.teardown(async () => await quay.close())
  quay.tag('ocp_4.5_base', await image('base', 1024))

  /** The answer of a cache with this secret, when `password` is the robot's password at quay. */
  const pull = async (secret: { username: string; password: string }, password: string) => {
    quay.setRobot({ username, password })
    const storage = await mkdtemp(join(directory, 'storage-'))
    const cache = await startCache({ storage, upstream: quay, robot: secret })
    try {
      const { status, code } = await ask(`${cache.url}/v2/openshift/ci/manifests/ocp_4.5_base`)
      return [status, code]
    } finally {
      await cache.stop()
    }
  }

  await suite.test('letters and digits pass as they are, a line break after them too', async (t) => {
    t.same(await pull({ username, password: '0123ABCDE456' }, '0123ABCDE456'), [200, undefined])
    t.same(await pull({ username: `${username}\n`, password: 'ABC\n' }, 'ABC'), [200, undefined])
  })

  await suite.test('anything else passes in single quotes', async (t) => {
    for (const password of ['*abc', '@abc', 'a: b', 'a #b', "it's @me"]) {
      const quoted = `'${password.replaceAll("'", "''")}'`
      t.same(await pull({ username, password: quoted }, password), [200, undefined], password)
    }
  })

  await suite.test('without the secrets the cache does not start, or has another password', async (t) => {
    for (const password of ['*abc', '@abc', 'a: b', '\u0001'])
      await t.rejects(pull({ username, password }, password), /error parsing/, JSON.stringify(password))
    t.same(await pull({ username, password: 'a #b' }, 'a #b'), [404, 'MANIFEST_UNKNOWN'])
    t.same(await pull({ username, password: 'a #b' }, 'a'), [200, undefined])
  })

  await suite.test('two robots in one file are refused', async (t) => {
    const two = { username: `${username}\nopenshift+ci_other`, password: 'ABC\nDEF' }
    t.same(await pull(two, 'ABC'), [404, 'MANIFEST_UNKNOWN'])
  })
})

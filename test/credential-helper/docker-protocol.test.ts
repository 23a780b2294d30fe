import t from 'tap'
import { dockerActions, type Request } from '../../src/credential-helper/docker-protocol.ts'
import { HelperError } from '../../src/credential-helper/helper-error.ts'

const hosts = ['proxy.example', 'proxy.example:8443']
const setUp = (input: string, more: Partial<Request> = {}) => {
  let finds = 0
  const request: Request = {
    input,
    hosts,
    find: async () => {
      finds += 1
      return { username: 'alice', secret: 'sha256~abc' }
    },
    ...more,
  }
  return { act: async (action: string) => await dockerActions[action]!(request), finds: () => finds }
}

await t.test('get: the credential, with the server as the client wrote it', async (test) => {
  for (const server of ['proxy.example', 'https://proxy.example/v1/', 'proxy.example:8443'])
    test.strictSame(await setUp(`${server}\n`).act('get'), {
      ServerURL: server,
      Username: 'alice',
      Secret: 'sha256~abc',
    })
})

await t.test('attack: no other registry gets it', async (test) => {
  for (const server of [
    'docker.io',
    'https://index.docker.io/v1/',
    'proxy.example.evil.example',
    'https://proxy.example@evil.example',
    'proxy.example:8444',
    'http://proxy.example',
  ]) {
    const { act, finds } = setUp(server)
    await test.rejects(act('get'), { message: 'credentials not found in native keychain' }, server)
    test.equal(finds(), 0, 'nobody looks for one')
  }
})

await t.test('without a server', async (test) => {
  for (const action of ['get', 'erase'])
    await test.rejects(setUp(' \n').act(action), { message: 'no credentials server URL' })
})

await t.test('store and erase: nothing is stored', async (test) => {
  const { act, finds } = setUp('proxy.example')
  await test.rejects(act('store'), {
    message: /stores nothing, and needs no login of its own: .*\(oc login\)$/,
  })
  test.equal(await act('erase'), undefined)
  test.equal(finds(), 0)
})

await t.test('list: each host, or nothing where there is no login', async (test) => {
  test.strictSame(await setUp('').act('list'), { 'proxy.example': 'alice', 'proxy.example:8443': 'alice' })
  const failing = (error: Error): Partial<Request> => ({
    find: async () => {
      throw error
    },
  })
  test.strictSame(await setUp('', failing(new HelperError('no oc'))).act('list'), {})
  await test.rejects(setUp('', failing(new TypeError('a bug'))).act('list'), { message: 'a bug' })
})

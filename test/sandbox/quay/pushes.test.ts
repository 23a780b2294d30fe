import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { startQuay } from '../../../src/sandbox/quay/quay.ts'

const robot = { username: 'reader', password: 'r' }
const pusher = { username: 'writer', password: 'w', mayPush: true }
const digestOf = (bytes: string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const mediaType = 'application/vnd.oci.image.manifest.v1+json'

const setUp = async (test: Test, who: { username: string; password: string } = pusher) => {
  const quay = await startQuay({ robot, pusher })
  test.teardown(async () => await quay.close())
  const basic = Buffer.from(`${who.username}:${who.password}`).toString('base64')
  const scope = `repository:${quay.repository}:pull,push`
  const login = await fetch(
    `${quay.url}/v2/auth?service=${new URL(quay.url).host}&scope=${encodeURIComponent(scope)}`,
    { headers: { authorization: `Basic ${basic}` } },
  )
  const { token } = (await login.json()) as { token: string }
  const send = async (method: string, path: string, body?: string, headers: Record<string, string> = {}) => {
    const response = await fetch(new URL(path, `${quay.url}/v2/${quay.repository}/`), {
      method,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined ? {} : { body }),
    })
    return { status: response.status, headers: response.headers, body: await response.text() }
  }
  const upload = async (bytes: string) => {
    const { headers } = await send('POST', 'blobs/uploads/')
    return await send('PUT', `${headers.get('location')}?digest=${digestOf(bytes)}`, bytes)
  }
  return { quay, send, upload }
}

await t.test('a blob in chunks, and the state of its upload', async (test) => {
  const { send } = await setUp(test)
  const begun = await send('POST', 'blobs/uploads/')
  const location = `${begun.headers.get('location')}`
  test.strictSame([begun.status, begun.headers.get('range')], [202, '0-0'])
  const patched = await send('PATCH', location, 'abc')
  test.strictSame([patched.status, patched.headers.get('range')], [202, '0-2'])
  test.equal((await send('GET', location)).status, 204)
  const digest = digestOf('abcdef')
  test.equal((await send('PUT', `${location}?digest=${digest}`, 'def')).status, 201)
  test.equal((await send('HEAD', `blobs/${digest}`)).status, 200)
  test.equal((await send('PATCH', location, 'x')).status, 404, 'it has ended')
  test.equal((await send('POST', `blobs/uploads/?mount=${digest}&from=a/b`)).status, 201)
  const other = await send('POST', `blobs/uploads/?mount=${digestOf('none')}&from=a/b`)
  test.equal(other.status, 202)
  test.equal((await send('DELETE', `${other.headers.get('location')}`)).status, 204)
  const wrong = `${(await send('POST', 'blobs/uploads/')).headers.get('location')}`
  test.match(await send('PUT', `${wrong}?digest=${digest}`, 'x'), { status: 400, body: /DIGEST_INVALID/ })
})

await t.test('a manifest, whose parts are there', async (test) => {
  const { send, upload } = await setUp(test)
  const manifest = JSON.stringify({ config: { digest: digestOf('{}') }, layers: [{ digest: digestOf('x') }] })
  const put = async (reference: string, text: string) =>
    await send('PUT', `manifests/${reference}`, text, { 'content-type': mediaType })
  test.match(await put('a_b_c', manifest), { status: 400, body: /MANIFEST_INVALID/ }, 'its blobs are missing')
  for (const bytes of ['{}', 'x']) test.equal((await upload(bytes)).status, 201)
  test.equal((await put(digestOf(manifest), manifest)).status, 201)
  const index = JSON.stringify({ manifests: [{ digest: digestOf(manifest) }] })
  test.equal((await put('a_b_c', index)).status, 201)
  test.equal((await put('a_b_c', JSON.stringify({ manifests: [{ digest: digestOf('y') }] }))).status, 400)
  test.equal((await put(digestOf('y'), manifest)).status, 400)
  test.equal((await put('a_b_c', 'no JSON')).status, 400)
  const found = await send('GET', 'manifests/a_b_c', undefined, { accept: mediaType })
  test.strictSame([found.status, found.body], [200, index])
})

await t.test('only the robot of the mirror may push', async (test) => {
  const { send, quay } = await setUp(test, robot)
  const refused = await send('POST', 'blobs/uploads/')
  test.equal(refused.status, 401)
  test.match(refused.headers.get('www-authenticate'), /^Bearer realm=/)
  test.equal((await send('PUT', 'manifests/a_b_c', '{}')).status, 401)
  test.equal(
    (await fetch(`${quay.url}/v2/${quay.repository}/blobs/uploads/`, { method: 'POST' })).status,
    401,
  )
  const other = await setUp(test)
  test.equal((await other.send('PUT', '/v2/other/repository/manifests/x', '{}')).status, 401)
})

await t.test('without a robot that pushes, every push is refused as before', async (test) => {
  const quay = await startQuay({ robot })
  test.teardown(async () => await quay.close())
  const put = await fetch(`${quay.url}/v2/${quay.repository}/manifests/x`, { method: 'PUT', body: '{}' })
  test.equal(put.status, 405)
})

/**
 * A rolling restart as a cluster does it: SIGTERM while clients pull images. First /readyz fails, then the proxy accepts no new
 * connection, and every running pull completes.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { startKubernetesApi } from '../../src/sandbox/app-ci/kubernetes-api.ts'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { quayFor, robot, smallImage } from '../sandbox/quay/quay-client.ts'
import { spawnPlainNode } from '../support/program.ts'
import { manifests } from './scenario.ts'

const pulls = 50
const layerBytes = 300_000

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** The proxy runs in its own process, everything else in this one. */
const start = async (test: Test) => {
  const objects = (await Promise.all(manifests.map(readManifests))).flat()
  const kubernetes = await startKubernetesApi({ objects })
  test.teardown(async () => await kubernetes.close())
  const quay = await quayFor(test)
  const image = await smallImage({ platforms: ['linux/amd64'], layerBytes })
  quay.tag('my-team_app_latest', image)
  const folder = test.testdir()
  const secrets = { ...robot, secret: 's'.repeat(32), kubeconfig: kubernetes.kubeconfig() }
  for (const [name, content] of Object.entries(secrets)) writeFileSync(join(folder, name), content)
  const port = await freePort()
  const child = spawnPlainNode([
    'bin/quay-proxy.js',
    'serve',
    `--listen-addr=127.0.0.1:${port}`,
    `--exposed-url=http://127.0.0.1:${port}`,
    `--upstream=${quay.url}`,
    '--upstream-limits=none',
    `--robot-username-file=${join(folder, 'username')}`,
    `--robot-password-file=${join(folder, 'password')}`,
    `--token-secret-file=${join(folder, 'secret')}`,
    `--kubeconfig=${join(folder, 'kubeconfig')}`,
    '--grace-period=40s',
    '--stall-timeout=60s',
  ])
  child.stdout.resume()
  child.stderr.resume()
  test.teardown(() => child.kill('SIGKILL'))
  const token = kubernetes.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller' })
  const [digest, content] = [...image.blobs].find(([, { length }]) => length > layerBytes / 2)!
  const letGo = Promise.withResolvers<void>()
  // The storage sends the second half later, so that no buffer on the way has the whole blob.
  quay.fault({
    origin: 'cdn',
    path: /./,
    count: Infinity,
    raw: (_request, response) => {
      response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, layerBytes / 2))
      void letGo.promise.then(() => response.end(content.subarray(layerBytes / 2)))
    },
  })
  return { child, url: `http://127.0.0.1:${port}`, port, token, digest, letGo: letGo.resolve }
}

/** 200, 503, or `refused` if the proxy accepts no connection. */
const readiness = async (port: number): Promise<string> => {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write('GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
    const [head] = (await once(socket, 'data')) as [Buffer]
    return head.toString().slice(9, 12)
  } catch {
    return 'refused'
  } finally {
    socket.destroy()
  }
}

await t.test('SIGTERM during 50 slow pulls: all finish', async (test) => {
  const { child, url, port, token, digest, letGo } = await start(test)
  while ((await readiness(port)) !== '200') await sleep(20)
  const dispatcher = new Agent({ connections: pulls })
  test.teardown(async () => await dispatcher.close())
  const headers = { authorization: `Bearer ${token}` }
  await (await request(`${url}/v2/my-team/app/manifests/latest`, { headers, dispatcher })).body.dump()

  const state = { begun: 0, over: 0 }
  const pull = async (): Promise<string> => {
    const { body } = await request(`${url}/v2/my-team/app/blobs/${digest}`, { headers, dispatcher })
    state.begun++
    const hash = createHash('sha256')
    for await (const piece of body as AsyncIterable<Buffer>) hash.update(piece)
    state.over++
    return `sha256:${hash.digest('hex')}`
  }
  const pulled = Promise.all(Array.from({ length: pulls }, pull))
  while (state.begun < pulls) await sleep(10)

  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const seen: string[] = []
  do {
    seen.push(await readiness(port))
    await sleep(50)
  } while (seen.at(-1) !== 'refused')
  test.ok(seen.filter((status) => status === '503').length > 10, `said so for a while: ${seen.join(' ')}`)
  test.notOk(seen.slice(seen.indexOf('503')).includes('200'), 'and did not take it back')
  // Within the grace period, and later than the end of a process that drains nothing.
  await sleep(2000)
  test.equal(state.over, 0, 'all of them run on')
  letGo()
  test.strictSame([...new Set(await pulled)], [digest], 'every byte of every pull')
  const [code] = (await exited) as [number | null]
  test.equal(code, 0)
})

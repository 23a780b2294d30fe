/**
 * The memory of ci-images-mirror with the size of app.ci: 10,000 ImageStreams of 20 tags each, all of which it watches, and a configuration of
 * 600 images. The ImageStreams are made page by page, so that only the process under test holds many of them.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { kubeConfigOf } from '../kubernetes/kubeconfig-of.ts'
import { supplemental } from '../mirror/validation/entries.ts'
import { putImage, tag } from '../support/image-fixtures.ts'
import { startPushableRegistry } from '../support/pushable-registry.ts'
import { plainEnv } from './process.ts'
import { root } from './stack.ts'

const size = { streams: 10_000, tags: 20, history: 3, images: 600 }
const allowedMegabytes = 150

const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
const nameOf = (index: number): string => `stream-${index}`

/** As app.ci has it: a specification, and some images of history for each tag. */
const streamOf = (index: number) => ({
  apiVersion: 'image.openshift.io/v1',
  kind: 'ImageStream',
  metadata: { namespace: 'ocp', name: nameOf(index), resourceVersion: '7', uid: digestOf(`uid ${index}`) },
  spec: { lookupPolicy: { local: false } },
  status: {
    dockerImageRepository: `image-registry.openshift-image-registry.svc:5000/ocp/${nameOf(index)}`,
    tags: Array.from({ length: size.tags }, (_, number) => ({
      tag: `tag-${number}`,
      items: Array.from({ length: size.history }, (_unused, age) => {
        const image = digestOf(`${index} ${number} ${age}`)
        const repository = `image-registry.openshift-image-registry.svc:5000/ocp/${nameOf(index)}`
        return {
          created: '2026-01-02T03:04:05Z',
          dockerImageReference: `${repository}@${image}`,
          image,
          generation: 1,
        }
      }),
    })),
  },
})

/** Lists `count` ImageStreams, and then a watch that says nothing. */
const startStreams = async (t: Test, count: number): Promise<number> => {
  const watches = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://api')
    response.writeHead(200, { 'content-type': 'application/json' })
    if (searchParams.get('watch') === 'true') {
      watches.add(response)
      response.flushHeaders()
      return
    }
    const from = Number(searchParams.get('continue') ?? 0)
    const to = Math.min(count, from + Number(searchParams.get('limit') ?? count))
    const items = Array.from({ length: to - from }, (_, index) => streamOf(from + index))
    const metadata = { resourceVersion: '7', ...(to < count && { continue: String(to) }) }
    response.end(
      JSON.stringify({ apiVersion: 'image.openshift.io/v1', kind: 'ImageStreamList', metadata, items }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return (server.address() as AddressInfo).port
}

/** The highest resident size of a process so far. */
const peakMegabytes = (pid: number): number =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

/** @returns the highest size of a process that has listed `streams`, and compares `images` */
const measure = async (
  t: Test,
  { streams, images }: { streams: number; images: number },
): Promise<number> => {
  const registry = await startPushableRegistry(t)
  const names = Array.from({ length: 20 }, (_, index) => `i${index}`)
  for (const name of names)
    tag(registry.repository(`team/${name}`), 'v1', putImage(registry.repository(`team/${name}`), name))
  const targets = Array.from(
    { length: images },
    (_, index) => [`a/t${index}:v1`, `quay.io/team/i${index % 20}:v1`] as const,
  )
  const folder = t.testdir({
    config: supplemental(Object.fromEntries(targets)),
    auth: '{"auths":{}}',
    kubeconfig: kubeConfigOf(await startStreams(t, streams)),
  })
  const child = spawn(
    process.execPath,
    [
      '--disable-sigusr1',
      'src/mirror/main.ts',
      `--config=${join(folder, 'config')}`,
      `--registry-config=${join(folder, 'auth')}`,
      `--kubeconfig=${join(folder, 'kubeconfig')}`,
      ...['quay.io', 'registry.ci.openshift.org'].map(
        (host) => `--registry-origin=${host}=${registry.origin.origin}`,
      ),
      '--enable-controller=quay_io_ci_images_distributor',
      // Of each ImageStream one tag, so that what is cached counts, too.
      ...Array.from(
        { length: Math.min(streams, 5000) },
        (_, index) =>
          `--quayIOCIImagesDistributorOptions.additional-image-stream-tag=ocp/${nameOf(index)}:tag-3`,
      ),
      '--dry-run',
      '--port=0',
      '--metrics-port=0',
    ],
    { cwd: root, env: plainEnv(), stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const closed = once(child, 'close')
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  const { promise, resolve } = Promise.withResolvers<void>()
  child.stdout.on('data', (chunk: Buffer) => {
    log += chunk.toString()
    const isListed = log.includes('the ImageStreams of app.ci are listed')
    if (isListed && (log.match(/Image needs sync/g) ?? []).length >= Math.min(images, 50)) resolve()
  })
  await Promise.race([promise, closed])
  const peak = peakMegabytes(child.pid as number)
  child.kill('SIGKILL')
  await closed
  return peak
}

await test('10,000 ImageStreams and 600 images', { timeout: 240_000 }, async (t) => {
  const idle = await measure(t, { streams: 0, images: 1 })
  const loaded = await measure(t, { streams: size.streams, images: size.images })
  const more = loaded - idle
  t.comment(
    `${loaded.toFixed(0)} MB at its highest point, idle ${idle.toFixed(0)} MB: ${more.toFixed(0)} MB more`,
  )
  t.ok(more < allowedMegabytes, `${more.toFixed(0)} MB`)
})

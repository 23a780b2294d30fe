/**
 * The proxy with a pull-through cache as its upstream, and the sandbox's quay behind the cache.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import { pull } from '../../src/sandbox/pull.ts'
import { buildImage, type Image } from '../../src/sandbox/quay/images.ts'
import { answers, freePort, startService } from './process.ts'
import { startCache } from './pull-through-cache.ts'
import { root, startQuayStack, type QuayStack } from './stack.ts'

// The upstream of stack.ts.
export const robot = { username: 'openshift+ci_reader', password: 'robot-password-4711' }

const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** A second proxy of a stack, with the cache as its upstream. */
const startProxy = async ({ directory }: QuayStack, upstream: string) => {
  const host = `127.0.0.1:${await freePort()}`
  const url = `http://${host}`
  const file = (name: string) => join(directory, name)
  const args = [
    `--listen-addr=${host}`,
    `--exposed-url=${url}`,
    `--upstream=${upstream}`,
    '--upstream-repository=openshift/ci',
    `--robot-username-file=${file('robot-username')}`,
    `--robot-password-file=${file('robot-password')}`,
    `--token-secret-file=${file('token-secret')}`,
    `--kubeconfig=${file('kubeconfig')}`,
    '--grace-period=2s',
    '--upstream-limits=none',
    '--tag-ttl=0s',
    // While quay is unavailable, the cache answers with errors. The test does not wait for the retries each time.
    '--retry-timeout=2s',
  ]
  const main = join(root, 'bin/quay-proxy.js')
  const ready = () => answers(`${url}/readyz`, 200)
  const proxy = await startService(process.execPath, [main, 'serve', ...args], ready, { cwd: directory })
  return { host, url, proxy }
}

type Answer = { status: number; headers: Headers; body: Buffer; digest: string; code: string | undefined }

export const ask = async (url: string, headers: Record<string, string> = {}): Promise<Answer> => {
  const response = await fetch(url, { headers: { accept, ...headers } })
  const body = Buffer.from(await response.arrayBuffer())
  const code = response.ok
    ? undefined
    : (JSON.parse(body.toString()) as { errors: [{ code: string }] }).errors[0].code
  return { status: response.status, headers: response.headers, body, digest: digestOf(body), code }
}

/** The requests to quay and its CDN from now on, without their queries, which are signatures. */
export const watch = ({ requests }: QuayStack['quay']) => {
  const start = requests.length
  return () => requests.slice(start).map(({ method, url }) => `${method} ${url.replace(/\?.*/, '')}`)
}

/** Blobs that the cache does not have. */
export const blobsIn = (lines: readonly string[]) => [
  ...new Set(lines.flatMap((line) => /^HEAD .*\/blobs\/(.*)$/.exec(line)?.[1] ?? [])),
]

export const image = (name: string, layerBytes: number) =>
  buildImage({ name, platforms: ['linux/amd64'], layers: 1, layerBytes, format: 'oci' })

export const largestBlob = ({ blobs }: Image) => {
  const [largest] = [...blobs].toSorted(([, a], [, b]) => b.length - a.length)
  return { digest: largest![0], content: largest![1] }
}

export const startCachedStack = async (suite: Test) => {
  const direct = await startQuayStack(suite)
  // This proxy sends its requests to quay itself.
  await direct.proxy.stop()
  const { quay, stock, tokens } = direct
  const uncached = await image('uncached', 1024)
  quay.tag('ocp_4.16_uncached', uncached)
  const base = stock.tags.find(({ tag }) => tag === 'ocp_4.5_base')!

  const storage = join(await direct.scratch('cache'), 'storage')
  const options = { storage, upstream: quay, robot }
  const cache = await startCache(options)
  direct.defer(cache.stop)
  const stack = { ...direct, ...(await startProxy(direct, cache.url)) }
  direct.defer(stack.proxy.stop)

  const get = (path: string, token = tokens.alice, headers = {}) =>
    ask(`${stack.url}/v2/${path}`, { authorization: `Bearer ${token}`, ...headers })
  const pullAs = (user: string, token: string, repository: string, reference: string) => {
    const registry = stack.url
    return pull({ registry, repository, reference, username: user, password: token })
  }
  const pullBase = (reference = 'base') => pullAs('alice', tokens.alice, 'ocp/4.5', reference)
  /** @returns its blobs, which are in the cache afterwards */
  const cacheBase = async () => {
    const asked = watch(quay)
    const { digest, blobs: count } = await pullBase()
    const blobs = blobsIn(asked())
    if (digest !== base.digest || blobs.length !== count) throw new Error(`${digest}: ${blobs.join(', ')}`)
    await cache.stored(blobs)
    return blobs
  }
  return { stack, cache, options, uncached, base, get, pullAs, pullBase, cacheBase }
}

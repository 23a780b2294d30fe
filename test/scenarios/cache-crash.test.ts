/**
 * A process with a cache is killed in the middle of pulls, many times. The next process must find a right cache.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import { spawnPlainNode } from '../support/program.ts'
import { flagsOf } from './another-replica.ts'
import { accept, scenario, type Scenario } from './scenario.ts'

/** `CACHE_KILLS=100` does more. */
const kills = Number(process.env['CACHE_KILLS'] ?? 2)

const start = async (s: Scenario, directory: string) => {
  const flags = [...flagsOf(s), '--restricted-index=off', `--cache-dir=${directory}`]
  const child = spawnPlainNode(['bin/quay-proxy.js', 'serve', ...flags])
  child.stderr.resume()
  let log = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text))
  let url: string | undefined
  while (url === undefined) {
    await sleep(10)
    url = /"url":"(http:[^"]+)"/.exec(log)?.[1]
  }
  const kill = async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  return { url, kill }
}

/** `right`, `wrong`, or `failed`. A client repeats what failed, and never a blob that looked whole. */
const pull = async (url: string, token: string, digest: string): Promise<'right' | 'wrong' | 'failed'> => {
  try {
    const headers = { authorization: `Bearer ${token}`, accept }
    const response = await fetch(`${url}/v2/openshift/ci/blobs/${digest}`, { headers })
    const body = Buffer.from(await response.arrayBuffer())
    if (response.status !== 200) return 'failed'
    return `sha256:${createHash('sha256').update(body).digest('hex')}` === digest ? 'right' : 'wrong'
  } catch {
    return 'failed'
  }
}

await scenario(
  `${kills} times SIGKILL in the middle of pulls: no wrong byte, and what is found is right`,
  async (t, s) => {
    const directory = mkdtempSync(join(tmpdir(), 'quay-proxy-cache-'))
    t.teardown(() => rmSync(directory, { recursive: true, force: true }))
    const image = await buildImage({
      name: 'a',
      platforms: ['linux/amd64'],
      layers: 12,
      layerBytes: 2_000_000,
      format: 'oci',
    })
    s.quay.push(image)
    const digests = [...image.blobs.keys()]
    const outcomes = { right: 0, wrong: 0, failed: 0 }
    for (let round = 0; round < kills; round++) {
      const { url, kill } = await start(s, directory)
      const pulls = digests.map(async (digest, index) => {
        await sleep(index * 10)
        outcomes[await pull(url, s.alice, digest)] += 1
      })
      await sleep(40 + (round % 6) * 25)
      await kill()
      await Promise.all(pulls)
    }
    t.equal(outcomes.wrong, 0)
    t.ok(outcomes.failed > 0, 'it was in the middle')
    const { url, kill } = await start(s, directory)
    const last = await Promise.all(digests.map(async (digest) => await pull(url, s.alice, digest)))
    t.ok(last.every((outcome) => outcome === 'right'))
    await kill()
    const entries = globSync(join(directory, 'blobs', '*', '*', '*'))
    t.ok(entries.length > 0)
    for (const path of entries) {
      const [hex, size] = basename(path).split('.')
      t.equal(statSync(path).size, Number(size))
      t.equal(createHash('sha256').update(readFileSync(path)).digest('hex'), hex)
    }
  },
)

/**
 * The path of a request: the calls and the files of `src` that one request passes, counted by V8 while a whole sandbox runs in this
 * process. The sandbox itself, logging and counters are not counted.
 *
 *     node test/bench/walk.ts
 */
import { Session } from 'node:inspector/promises'
import { sep } from 'node:path'
import { createLogger } from '../../src/telemetry/logging.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'

interface Walk {
  readonly calls: number
  readonly files: number
}

const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json'
/** Background work may add to some of them. The smallest is the request alone. */
const rounds = 5

const sandbox = await startSandbox({
  logger: createLogger('info', { write: () => undefined }),
  rbac: ['manifests/rbac', 'manifests/examples'],
  port: 0,
  flags: ['--restricted-index=off'],
})
const token = sandbox.kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })

const isCounted = (url: string): boolean =>
  url.includes(`${sep}src${sep}`) &&
  !['sandbox', 'telemetry'].some((room) => url.includes(`${sep}src${sep}${room}${sep}`))

const take = async (): Promise<Walk> => {
  const { result } = await session.post('Profiler.takePreciseCoverage')
  const counts = result
    .filter(({ url }) => isCounted(url))
    .map(({ functions }) =>
      functions
        .filter(({ functionName }) => functionName !== '')
        .reduce((sum, { ranges }) => sum + (ranges[0]?.count ?? 0), 0),
    )
    .filter((count) => count > 0)
  return { calls: counts.reduce((sum, count) => sum + count, 0), files: counts.length }
}

const walkOf = async (path: string): Promise<Walk> => {
  await take()
  const response = await fetch(`${sandbox.url}${path}`, {
    headers: { authorization: `Bearer ${token}`, accept },
  })
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  await response.arrayBuffer()
  return await take()
}

const leastOf = async (path: string): Promise<Walk> => {
  let least = await walkOf(path)
  for (let round = 1; round < rounds; round++) {
    const walk = await walkOf(path)
    if (walk.calls < least.calls) least = walk
  }
  return least
}

const print = (text: string): void => void process.stdout.write(`${text}\n`)

const printed = (what: string, { calls, files }: Walk): void => print(`| ${what} | ${calls} | ${files} |`)

try {
  const manifest = '/v2/ocp/4.5/manifests/base'
  const layer = `/v2/ocp/4.5/blobs/${sandbox.stock.sharedLayers[0]}`
  print('| request | calls | files |\n| --- | --- | --- |')
  printed('manifest by tag, nothing known', await walkOf(manifest))
  printed('the same again', await leastOf(manifest))
  printed('a layer of 64 KiB, first time', await walkOf(layer))
  printed('the same again', await leastOf(layer))
} finally {
  await sandbox.close()
}

/**
 * `quay-proxy cache rm` while a proxy with a disk and S3 runs: what an operator removes is served by nobody any more.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheCommand } from '../../src/proxy/cache-command.ts'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import { s3FlagsFor, startS3 } from '../support/s3-server.ts'
import { until } from '../support/until.ts'
import { startUnready } from './another-replica.ts'
import { createPuller } from './puller.ts'
import { scenario } from './scenario.ts'

await scenario('an image is removed by its tag, and by its digest, from a running proxy', async (t, s) => {
  const directory = mkdtempSync(join(tmpdir(), 'quay-proxy-cache-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const s3 = await startS3(t)
  const proxy = await startUnready(s, [
    `--cache-dir=${join(directory, 'cache')}`,
    '--restricted-index=off',
    // Upstream answers 404 in between: no tag may get too old meanwhile.
    '--tag-ttl=1h',
    ...s3FlagsFor(t, s3),
  ])
  const small = { platforms: ['linux/amd64'], layers: 2, layerBytes: 30_000, format: 'oci' } as const
  const [image, other] = await Promise.all(
    ['one', 'other'].map(async (name) => await buildImage({ ...small, name })),
  )
  s.quay.tag('my-team_app_one', image!)
  s.quay.tag('my-team_app_other', other!)
  const client = createPuller({ url: proxy.url, token: s.puller, connections: 8 })
  const objects = image!.blobs.size + 1
  for (const target of ['my-team_app_one', image!.digest]) {
    await client.pull('my-team/app', 'one')
    await client.pull('my-team/app', 'other')
    await until(() => s3.objects.size === 2 * objects)
    await client.pull('my-team/app', 'one')
    const before = s.quay.requests.length
    const lines: string[] = []
    const print = (line: string) => void lines.push(line)
    const options = { action: 'rm', directory: join(directory, 'cache'), target, print } as const
    // The tag is flushed to the disk once a second.
    while (!(await cacheCommand(options).catch(() => false)))
      await new Promise((wait) => setTimeout(wait, 20))
    t.ok(lines.includes(`S3: ${objects} objects removed`), lines.join('\n'))
    t.equal(s3.objects.size, objects, 'the other image stays')
    t.equal(s.quay.requests.length, before)

    for (const origin of ['quay', 'cdn'] as const)
      s.quay.fault({ origin, path: /./, status: 404, count: Infinity })
    const statuses = await Promise.all(
      [...image!.blobs.keys(), image!.digest].map(async (digest) => {
        const kind = digest === image!.digest ? 'manifests' : 'blobs'
        const headers = { authorization: `Bearer ${s.puller}` }
        return (await fetch(`${proxy.url}/v2/my-team/app/${kind}/${digest}`, { headers })).status
      }),
    )
    t.ok(
      statuses.every((status) => status === 404),
      `nobody has it: ${statuses.join(' ')}`,
    )
    await client.pull('my-team/app', 'other')
    s.quay.clearFaults()
  }
  await client.close()
  await proxy.stop()
})

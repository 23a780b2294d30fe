/**
 * The cache in a real S3, which three replicas share: what one has fetched comes from S3 for the others. S3 is killed, frozen, restarted,
 * and its objects are changed.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import { createPuller } from '../scenarios/puller.ts'
import { readLayout } from './layout.ts'
import { answers, freePort, missing, startService, type Service } from './process.ts'
import { isolatedSkopeo } from './skopeo.ts'
import { bucket, startStore } from './s3-store.ts'
import { endStack, root, startQuayStack } from './stack.ts'

const skip = missing('versitygw', 'skopeo')

await test('three replicas over one S3', { skip }, async (suite) => {
  const stack = await startQuayStack(suite)
  const { quay, tokens, directory } = stack
  const s3 = await startStore(await stack.scratch('s3'))
  stack.defer(s3.kill)
  const services: Service[] = []
  let folders = 0

  const startReplica = async (flags: readonly string[] = [], cache?: string) => {
    const host = `127.0.0.1:${await freePort()}`
    const metrics = `127.0.0.1:${await freePort()}`
    const folder = cache ?? join(directory, `cache-${folders++}`)
    await mkdir(folder, { recursive: true })
    const args = [
      `--listen-addr=${host}`,
      `--metrics-addr=${metrics}`,
      `--exposed-url=http://${host}`,
      `--upstream=${quay.url}`,
      '--upstream-limits=none',
      '--robot-username-file=robot-username',
      '--robot-password-file=robot-password',
      '--token-secret-file=token-secret',
      '--kubeconfig=kubeconfig',
      '--restricted-index=off',
      '--grace-period=1s',
      '--log-level=debug',
      `--cache-dir=${folder}`,
      `--cache-s3=s3://${bucket}/e2e`,
      `--cache-s3-endpoint=${s3.url}`,
      `--cache-s3-credentials-file=${s3.credentials}`,
      ...flags,
    ]
    const service = await startService(
      process.execPath,
      [join(root, 'bin/quay-proxy.js'), 'serve', ...args],
      () => answers(`http://${host}/readyz`, 200),
      { cwd: directory, patience: 60_000 },
    )
    services.push(service)
    stack.defer(service.stop)
    const metricOf = async (line: string): Promise<number> => {
      const text = await (await fetch(`http://${metrics}/metrics`)).text()
      return Number(
        text
          .split('\n')
          .find((each) => each.startsWith(`quay_proxy_${line} `))
          ?.split(' ')[1],
      )
    }
    return { host, folder, metricOf, ...service }
  }
  type Replica = Awaited<ReturnType<typeof startReplica>>

  const until = async (holds: () => boolean | Promise<boolean>) => {
    while (!(await holds())) await sleep(20)
  }
  const uploaded = async (replica: Replica) =>
    await until(async () => (await replica.metricOf('cache_s3_uploads_pending')) === 0)

  const tagImage = async (tag: string, layers: number, layerBytes: number) => {
    const image = await buildImage({
      name: tag,
      platforms: ['linux/amd64'],
      layers,
      layerBytes,
      format: 'oci',
    })
    quay.tag(tag, image)
    return image
  }
  const pullAll = async (replicas: readonly Replica[], tag: string, clients: number) => {
    const pullers = replicas.map(({ host }) =>
      createPuller({ url: `http://${host}`, token: tokens.alice, connections: 50 }),
    )
    const pulls = Array.from({ length: clients }, async (_, client) => {
      await pullers[client % pullers.length]!.pull('openshift/ci', tag)
    })
    await Promise.all(pulls)
    const retries = pullers.flatMap((puller) => [...puller.retries])
    await Promise.all(pullers.map(async (puller) => await puller.close()))
    return retries
  }
  /** Requests for blobs and to the CDN since the last call. */
  let seen = 0
  const blobRequests = () => {
    const fresh = quay.requests
      .slice(seen)
      .filter(({ url, origin }) => origin === 'cdn' || url.includes('/blobs/'))
    seen = quay.requests.length
    return fresh.length
  }
  const first = await startReplica()

  await suite.test(
    'what one replica fills is in S3, and the next one with an empty disk reads it',
    async (t) => {
      const image = await tagImage('ocp_4.16_shared', 3, 7_000_000)
      blobRequests()
      t.same(await pullAll([first], 'ocp_4.16_shared', 1), [])
      t.equal(blobRequests(), 2 * 4)
      await uploaded(first)
      t.equal(s3.objects().filter((key) => key.includes('/blobs/')).length, 4)
      for (const key of s3.objects().filter((each) => each.includes('/blobs/')))
        t.equal(
          createHash('sha256')
            .update(readFileSync(s3.fileOf(key)))
            .digest('hex'),
          key.split('/').at(-1),
        )
      const second = await startReplica()
      t.same(await pullAll([second], 'ocp_4.16_shared', 5), [])
      t.equal(blobRequests(), 0, 'quay and its CDN were not asked')
      t.equal(await second.metricOf('blobs_total{tier="s3"}'), 4)
      t.equal(image.blobs.size, 4)
      await second.stop()
    },
  )

  await suite.test(
    '200 clients of a cold image of 20 layers at three replicas: once each, then never',
    async (t) => {
      await tagImage('ocp_4.16_cold', 20, 60_000)
      const replicas = [first, ...(await Promise.all([startReplica(), startReplica()]))]
      blobRequests()
      t.same(await pullAll(replicas, 'ocp_4.16_cold', 200), [])
      const requests = blobRequests()
      t.ok(requests >= 2 * 21 && requests <= 3 * 2 * 21, `${requests} of 8,400`)
      for (const replica of replicas) await uploaded(replica)
      t.equal(s3.objects().filter((key) => key.includes('/blobs/')).length, 4 + 21)
      const fresh = await Promise.all([startReplica(), startReplica(), startReplica()])
      t.same(await pullAll(fresh, 'ocp_4.16_cold', 60), [])
      t.equal(blobRequests(), 0)
      await Promise.all([...fresh, ...replicas.slice(1)].map(async (replica) => await replica.stop()))
    },
  )

  await suite.test('S3 that is killed or frozen fails no pull; back again, it is used', async (t) => {
    await tagImage('ocp_4.16_down', 4, 50_000)
    const replica = await startReplica()
    await s3.kill()
    t.same(await pullAll([replica], 'ocp_4.16_down', 6), [])
    await s3.start()
    await tagImage('ocp_4.16_frozen', 4, 50_000)
    const other = await startReplica()
    s3.signal('SIGSTOP')
    t.same(await pullAll([other], 'ocp_4.16_frozen', 6), [])
    t.equal(await other.metricOf('cache_s3_circuit_open'), 1)
    s3.signal('SIGCONT')
    blobRequests()
    await until(async () => {
      // Another blob each time, because a blob on the disk is not read from S3.
      await fetch(`http://${other.host}/v2/openshift/ci/manifests/sha256:${'0'.repeat(64)}`, {
        headers: { authorization: `Bearer ${tokens.alice}` },
      })
      return (await other.metricOf('cache_s3_circuit_open')) === 0
    })
    await pullAll([other], 'ocp_4.16_shared', 1)
    t.equal(blobRequests(), 0, 'from S3 again')
    await replica.stop()
    await other.stop()
  })

  await suite.test('wrong bytes in S3 are served to nobody as a whole, and are replaced', async (t) => {
    const replica = await startReplica()
    const [key = ''] = s3.objects().filter((each) => readFileSync(s3.fileOf(each)).length > 1_000_000)
    const right = readFileSync(s3.fileOf(key))
    const wrong = Buffer.from(right)
    wrong[500_000] = wrong[500_000]! ^ 1
    writeFileSync(s3.fileOf(key), wrong)
    // The client compares digests, and requests a broken blob again.
    const retries = await pullAll([replica], 'ocp_4.16_shared', 3)
    t.notOk(JSON.stringify(retries).includes('wrong digest'))
    await until(
      async () =>
        (await replica.metricOf('cache_s3_corrupt_objects_total{kind="blobs",reason="digest"}')) === 1,
    )
    await until(() => s3.objects().includes(key) && readFileSync(s3.fileOf(key)).equals(right))
    await replica.stop()
    const again = await startReplica([], replica.folder)
    blobRequests()
    t.same(await pullAll([again], 'ocp_4.16_shared', 3), [], 'also after a restart')
    t.equal(blobRequests(), 0)
    await again.stop()
  })

  await suite.test('redirect: skopeo reads the layers from S3', async (t) => {
    const replica = await startReplica(['--blob-delivery=redirect'])
    const target = await stack.scratch('redirected')
    await writeFile(
      join(directory, 'policy.json'),
      JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }),
    )
    blobRequests()
    const { code, output } = await isolatedSkopeo(stack)(
      ...'copy --preserve-digests --src-tls-verify=false'.split(' '),
      `--src-creds=alice:${tokens.alice}`,
      `docker://${replica.host}/openshift/ci:ocp_4.16_shared`,
      `oci:${target}:copy`,
    )
    t.equal(code, 0, output)
    t.equal((await readLayout(target)).blobs.length, 1 + 4)
    t.equal(blobRequests(), 0)
    t.equal(await replica.metricOf('blobs_total{tier="redirected"}'), 4)
    const [key = ''] = s3.objects().filter((each) => each.includes('/blobs/'))
    const path = `http://${replica.host}/v2/openshift/ci/blobs/sha256:${key.split('/').at(-1)}`
    const denied = await fetch(path, {
      headers: { authorization: `Bearer ${tokens.mallory}` },
      redirect: 'manual',
    })
    t.equal(denied.status, 403, 'access is decided first')
    t.equal(denied.headers.get('location'), null)
    await replica.stop()
  })

  await suite.test('no log holds a key of S3, or a signature', async (t) => {
    const logs = services.map((service) => service.output()).join('')
    t.not(logs, '')
    for (const secret of [s3.keys.access, s3.keys.secret, 'X-Amz-', 'AWS4-HMAC'])
      t.notOk(logs.includes(secret), secret.slice(0, 5))
  })

  await first.stop()
  await pullAll([{ host: stack.host } as Replica], 'ocp_4.16_shared', 1)
  await endStack(suite, stack)
})

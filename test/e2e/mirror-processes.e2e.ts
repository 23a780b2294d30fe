/**
 * Two processes of ci-images-mirror with one lease, of which one is stopped or killed in the middle of a copy; and the time from a change of
 * the configuration to the image in QCI. The registry counts writes by the robot of each process.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { kubeConfigOf } from '../kubernetes/kubeconfig-of.ts'
import { startLeaseApi } from '../mirror/lease/lease-api.ts'
import { supplemental } from '../mirror/validation/entries.ts'
import { putImage, putIndex, tag } from '../support/image-fixtures.ts'
import { startPushableRegistry, type FakeRequest } from '../support/pushable-registry.ts'
import { plainEnv } from './process.ts'
import { root } from './stack.ts'

/** Something that the registry, the API server or a log says. */
class Events {
  #waiting: (() => void)[] = []

  happened(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** Looks at each event. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

interface Replica {
  readonly pid: number
  readonly log: () => string
}

const startWorld = async (t: Test, config: string) => {
  const events = new Events()
  const registry = await startPushableRegistry(t, { login: 'basic' })
  // Its blobs cannot be mounted.
  const elsewhere = await startPushableRegistry(t)
  const { state: lease, port } = await startLeaseApi(t)
  const folder = t.testdir({ config, kubeconfig: kubeConfigOf(port) })

  /** `name` is its robot. */
  const start = (name: string): Replica => {
    const auth = join(folder, name)
    writeFileSync(
      auth,
      JSON.stringify({ auths: { [registry.host]: { username: name, password: 'secret' } } }),
    )
    const args = [
      '--disable-sigusr1',
      'bin/ci-images-mirror.js',
      `--config=${folder}/config`,
      `--registry-config=${auth}`,
      `--kubeconfig=${folder}/kubeconfig`,
      `--registry-origin=quay.io=${registry.origin.origin}`,
      `--registry-origin=ghcr.io=${elsewhere.origin.origin}`,
      '--port=0',
      '--metrics-port=0',
    ]
    const child = spawn(process.execPath, args, { cwd: root, env: plainEnv() })
    let log = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        log += chunk.toString()
        events.happened()
      })
    t.teardown(async () => {
      const closed = once(child, 'close')
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await closed
    })
    return { pid: child.pid as number, log: () => log }
  }
  const writerOf = ({ method, authorization = '' }: FakeRequest): string | undefined => {
    if (method === 'GET' || method === 'HEAD' || authorization === '') return undefined
    return Buffer.from(authorization.slice('Basic '.length), 'base64').toString().split(':')[0]
  }
  const holder = (): unknown => lease.lease?.spec?.['holderIdentity']
  return { events, registry, elsewhere, lease, holder, folder, start, writerOf }
}

const names = Array.from({ length: 3 }, (_, index) => `i${index}`)
const floatOf = (name: string): string => `a_${name}_v1`
const isPrune = (path: string): boolean => /\/manifests\/\d{14}_prune_/.test(path)

/** Images that differ, and a replica that gets a signal when `isMoment` is so for one of its writes. */
const startTakeover = async (
  t: Test,
  signal: 'SIGSTOP' | 'SIGKILL',
  isMoment: (request: FakeRequest) => boolean,
) => {
  const config = supplemental(
    Object.fromEntries(names.map((name) => [`a/${name}:v1`, `ghcr.io/team/${name}:v1`])),
  )
  const world = await startWorld(t, config)
  const { events, registry, elsewhere, start, writerOf, holder } = world
  const qci = registry.repository('openshift/ci')
  const wanted = new Map<string, string>()
  const old = new Set<string>()
  for (const name of names) {
    const source = elsewhere.repository(`team/${name}`)
    const image = putIndex(source, `new ${name}`)
    tag(source, 'v1', image)
    wanted.set(floatOf(name), image.digest)
    const before = putImage(qci, `old ${name}`)
    tag(qci, floatOf(name), before)
    old.add(before.digest)
  }
  const writes = new Map<string, number>()
  let first: Replica | undefined
  let isSignalled = false
  let holderThen: unknown
  registry.fault = (request) => {
    const writer = writerOf(request)
    if (writer === undefined) return undefined
    writes.set(writer, (writes.get(writer) ?? 0) + 1)
    if (writer === 'first' && !isSignalled && isMoment(request)) {
      isSignalled = true
      holderThen = holder()
      process.kill((first as Replica).pid, signal)
    }
    events.happened()
    return undefined
  }
  let untagged = 0
  registry.onTag = () => {
    const tagged = new Set(qci.tags.values())
    for (const digest of old) if (!tagged.has(digest)) untagged += 1
    events.happened()
  }
  first = start('first')
  await events.until(() => isSignalled)
  const second = start('second')
  await events.until(() => [...wanted].every(([float, digest]) => qci.tags.get(float) === digest))
  t.ok((writes.get('first') ?? 0) > 0, `the first wrote ${writes.get('first')} times`)
  t.ok((writes.get('second') ?? 0) > 0, `the second wrote ${writes.get('second')} times`)
  t.not(holder(), holderThen, 'another replica has the lease')
  const check = (): void => {
    t.equal(untagged, 0, 'no old digest was without a tag for a moment')
    t.same(
      [...wanted].filter(([float, digest]) => qci.tags.get(float) !== digest),
      [],
      'each float is the image of its source',
    )
    const prunes = [...qci.tags].filter(([name]) => name.includes('_prune___ci_images_mirror__'))
    t.same(
      new Set(prunes.map(([, digest]) => digest)),
      old,
      'each old digest has a prune tag, and nothing else has',
    )
  }
  return { ...world, first, second, writes, check }
}

await test('two processes, and one configuration', { timeout: 240_000, jobs: 4 }, async (suite) => {
  const one = suite.test(
    'a leader that is stopped during a copy writes nothing when it continues',
    async (t) => {
      const { events, first, writes, lease, check } = await startTakeover(t, 'SIGSTOP', ({ path }) =>
        isPrune(path),
      )
      check()
      const before = writes.get('first')
      const looks = lease.requests.length
      process.kill(first.pid, 'SIGCONT')
      await events.until(() => first.log().includes('The lease is lost'))
      // Its copies have failed by then, or fail now; it looks at the lease again and again.
      await events.until(() => /"state":"backing off"|Failed to mirror/.test(first.log()))
      t.ok(lease.requests.length >= looks)
      t.equal(writes.get('first'), before, 'no write of the first after its pause')
      check()
    },
  )

  const two = suite.test(
    'the successor of a leader that is killed after a prune tag finishes the copy',
    async (t) => {
      const { check } = await startTakeover(t, 'SIGKILL', ({ path }) => isPrune(path))
      check()
    },
  )

  const three = suite.test(
    'the successor of a leader that is killed in an upload copies the image',
    async (t) => {
      const { check } = await startTakeover(t, 'SIGKILL', ({ method }) => method === 'PATCH')
      check()
    },
  )

  const four = suite.test('a change of the configuration is in QCI within a minute', async (t) => {
    const targets = Array.from(
      { length: 600 },
      (_, index) => [`a/t${index}:v1`, `quay.io/team/t${index % 40}:v1`] as const,
    )
    const { events, registry, folder, start } = await startWorld(t, supplemental(Object.fromEntries(targets)))
    const qci = registry.repository('openshift/ci')
    for (const [target, image] of targets) {
      const name = (image.split('/').at(-1) as string).split(':')[0] as string
      tag(registry.repository(`team/${name}`), 'v1', putImage(registry.repository(`team/${name}`), name))
      tag(qci, target.replaceAll(/[/:]/g, '_'), putImage(qci, name))
    }
    const fresh = registry.repository('team/fresh')
    const image = putIndex(fresh, 'fresh')
    tag(fresh, 'v1', image)
    const replica = start('one')
    // In the middle of the first pass, whose pace is that for quay.io.
    registry.fault = () => {
      events.happened()
      return undefined
    }
    registry.onTag = () => events.happened()
    await events.until(() => registry.requests.length > 50)
    const began = performance.now()
    const changed = {
      ...Object.fromEntries(targets),
      'a/new:v1': 'quay.io/team/fresh:v1',
      'a/t300:v1': 'quay.io/team/fresh:v1',
    }
    writeFileSync(join(folder, 'config'), supplemental(changed))
    await events.until(() => ['a_new_v1', 'a_t300_v1'].every((float) => qci.tags.get(float) === image.digest))
    const seconds = (performance.now() - began) / 1000
    t.comment(
      `a new and a changed entry among 600 were in QCI ${seconds.toFixed(1)} s after the change of the file`,
    )
    t.ok(seconds < 60, `${seconds} s`)
    t.match(replica.log(), 'Mirrored successfully')
  })
  await Promise.all([one, two, three, four])
})

/**
 * quay.io is gone and the proxy was restarted: what its cache on a disk has is pulled as before, by real clients over TLS. Debian's
 * docker-registry is quay.io.
 */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'tap'
import { selfSigned } from '../support/tls.ts'
import { tlsProxy, certificateIn } from './cached-proxy.ts'
import { startContainerd } from './containerd.ts'
import { readImage, readLayout } from './layout.ts'
import { isolatedPodman } from './podman.ts'
import { missing, plainEnv, run } from './process.ts'
import { hostArchitecture } from './seed.ts'
import { endStack, robot, startStack } from './stack.ts'

const skip = missing('podman', 'skopeo', 'containerd', 'ctr', 'docker-registry', 'openssl')

await test('a warm cache without quay', { skip }, async (suite) => {
  const stack = await startStack(suite)
  const { tokens, upstream } = stack
  const { certificate } = await certificateIn(stack)
  const proxy = await tlsProxy(stack, [
    `--upstream=${upstream.url}`,
    `--kubeconfig=${join(stack.directory, 'kubeconfig')}`,
    `--cache-dir=${join(stack.directory, 'cache')}`,
    // Nothing of quay.io is answered from memory.
    '--tag-ttl=0s',
    '--retry-timeout=1s',
  ])
  await proxy.start()
  const warm = stack.image('ocp_4.5_base')
  const cold = stack.image('ocp_4.15_base')
  const embargoed = stack.image('ocp-priv_4.5_embargoed')
  const { config = '', layers = [] } = warm.images[hostArchitecture] ?? {}
  const ask = async (user: string, password: string, reference: string) => {
    const sent = request(`https://${proxy.host}/v2/openshift/ci/manifests/${reference}`, {
      ca: selfSigned().cert,
      auth: `${user}:${password}`,
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
      agent: false,
    })
    sent.end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return { status: response.statusCode, warning: response.headers.warning, body: await text(response) }
  }
  const skopeo = async (reference: string) => {
    const layout = join(stack.directory, `copy-${reference.replaceAll(/\W/g, '-')}`)
    const { code, output } = await run(
      'skopeo',
      [
        `--policy=${join(stack.directory, 'policy.json')}`,
        ...'copy --all --preserve-digests'.split(' '),
        `--src-creds=alice:${tokens.alice}`,
        `docker://${proxy.host}/openshift/ci${reference}`,
        `oci:${layout}:copy`,
      ],
      {
        env: plainEnv({
          HOME: stack.directory,
          XDG_RUNTIME_DIR: stack.directory,
          SSL_CERT_FILE: certificate,
        }),
      },
    )
    return { code, output, layout }
  }
  const containerd = await startContainerd({ ...stack, host: proxy.host }, certificate)
  const podmanOf = async (name: string) =>
    await isolatedPodman({ ...stack, host: proxy.host }, name, { certificate })

  await suite.test(
    'while quay answers: one client pulls an image, the robot pulls a restricted one',
    async (t) => {
      t.match(await skopeo(':ocp_4.5_base'), { code: 0 })
      t.match(await ask(robot.username, robot.password, 'ocp-priv_4.5_embargoed'), { status: 200 })
    },
  )

  await suite.test('quay ends, and the proxy is restarted: it gets ready', async (t) => {
    await upstream.stop()
    t.equal(await proxy.stop(), 0)
    // The index of the last start is older than three intervals, as after a long time without quay.
    await proxy.start('--restricted-index-interval=1ms')
    t.match(await proxy.readiness(), 'restricted index: of the last start, because upstream fails')
  })

  for (const reference of [':ocp_4.5_base', `@${warm.index}`]) {
    await suite.test(`skopeo copies ${reference}, every byte right`, async (t) => {
      const { code, output, layout } = await skopeo(reference)
      t.equal(code, 0, output)
      t.same((await readLayout(layout)).tagged, [warm.index])
      t.equal((await readImage(layout, warm.index)).manifests.length, 1 + Object.keys(warm.images).length)
    })

    await suite.test(`podman pulls ${reference}`, async (t) => {
      const podman = await podmanOf(reference.startsWith('@') ? 'digest' : 'tag')
      t.match(await podman.login('alice', tokens.alice), { code: 0 })
      const pull = await podman.pull(`openshift/ci${reference}`)
      t.match(pull, { code: 0, stdout: config.replace('sha256:', '') }, pull.output)
    })

    await suite.test(`ctr pulls ${reference}`, async (t) => {
      const name = reference.startsWith('@') ? 'digest' : 'tag'
      const { code, output } = await containerd.fetch('alice', tokens.alice, `openshift/ci${reference}`, name)
      t.equal(code, 0, output)
      for (const digest of [warm.index, config, ...layers])
        t.ok((await containerd.content(name)).includes(digest), digest)
    })
  }

  await suite.test('a tag is said to be stale; access is decided as before', async (t) => {
    t.match(await ask('alice', tokens.alice, 'ocp_4.5_base'), { status: 200, warning: /^110 / })
    t.match(await ask('mallory', tokens.mallory, 'ocp_4.5_base'), { status: 403 })
    t.match(await ask('alice', tokens.alice, embargoed.index), { status: 403 })
    t.match(await ask(robot.username, robot.password, embargoed.index), { status: 200 })
  })

  await suite.test('a cold image is 503 for every client, which says so', async (t) => {
    for (const reference of ['ocp_4.15_base', cold.index]) {
      const { status, body } = await ask('alice', tokens.alice, reference)
      t.equal(status, 503, reference)
      t.match(JSON.parse(body), { errors: [{ code: 'UNAVAILABLE' }] })
    }
    const podman = await podmanOf('cold')
    await podman.login('alice', tokens.alice)
    const answers = {
      podman: await podman.pull('openshift/ci:ocp_4.15_base'),
      skopeo: await skopeo(':ocp_4.15_base'),
      ctr: await containerd.fetch('alice', tokens.alice, 'openshift/ci:ocp_4.15_base', 'cold'),
    }
    for (const [client, { code, output }] of Object.entries(answers)) {
      t.not(code, 0, client)
      t.match(output, /503|unavailable/i, `${client} says so`)
      t.notMatch(output, /manifest unknown|not found/i, `${client} does not take it for absent`)
    }
  })

  await suite.test('no log of the cached proxy holds a secret', async (t) => {
    t.equal(await proxy.stop(), 0)
    for (const [owner, secret] of stack.secrets()) t.notOk(proxy.output().includes(secret), owner)
  })

  await endStack(suite, stack)
})

import { join } from 'node:path'
import { test } from 'tap'
import { documented } from './documented.ts'
import { readLayout } from './layout.ts'
import { missing } from './process.ts'
import { isolatedSkopeo } from './skopeo.ts'
import { endStack, serviceAccountUser, startStack } from './stack.ts'

const skip = missing('skopeo', 'docker-registry', 'openssl')

await test('skopeo', { skip }, async (suite) => {
  const stack = await startStack(suite)
  const { tokens } = stack
  const skopeo = isolatedSkopeo(stack)
  const inspect = (image: string, user: string, token: string) =>
    skopeo('inspect', '--tls-verify=false', '--creds', `${user}:${token}`, `docker://${stack.host}/${image}`)

  const copy = (from: string, to: string) =>
    skopeo(
      ...'copy --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false'.split(' '),
      `${from.startsWith('docker:') ? '--src' : '--dest'}-creds=alice:${tokens.alice}`,
      from,
      to,
    )

  const inspected = async (image: string, user: string, token: string) => {
    const { code, stdout, output } = await inspect(image, user, token)
    if (code !== 0) throw new Error(output)
    const { Digest, RepoTags } = JSON.parse(stdout) as { Digest: string; RepoTags: string[] }
    return { digest: Digest, tags: RepoTags.toSorted() }
  }

  await suite.test('inspect shows the digest, and the tags that the requester may pull', async (t) => {
    t.same(await inspected('openshift/ci:ocp_4.5_base', 'alice', tokens.alice), {
      digest: stack.image('ocp_4.5_base').index,
      tags: ['my-team_app_latest', 'ocp_4.15_base', 'ocp_4.5_base'],
    })
    t.same(await inspected('openshift/ci:my-team_app_latest', 'user', tokens.serviceAccount), {
      digest: stack.image('my-team_app_latest').index,
      tags: ['my-team_app_latest'],
    })
  })

  await suite.test('inspect of an image stream shows its tags', async (t) => {
    t.same(await inspected('ocp/4.5:base', 'alice', tokens.alice), {
      digest: stack.image('ocp_4.5_base').index,
      tags: ['base'],
    })
  })

  await suite.test('list-tags shows the same tags', async (t) => {
    const options = ['--tls-verify=false', `--creds=alice:${tokens.alice}`]
    const { code, stdout, output } = await skopeo('list-tags', ...options, `docker://${stack.host}/ocp/4.5`)
    t.equal(code, 0, output)
    t.match(JSON.parse(stdout), { Tags: ['base'] })
  })

  for (const image of ['openshift/ci:ocp_4.5_base', 'ocp/4.5:base']) {
    await suite.test(`copy --all of ${image} brings every architecture, byte for byte`, async (t) => {
      const target = await stack.scratch(image.replaceAll(/[:/]/g, '-'))
      const copied = await copy(`docker://${stack.host}/${image}`, `oci:${target}:copy`)
      t.equal(copied.code, 0, copied.output)
      const seeded = stack.image('ocp_4.5_base')
      const wanted = Object.values(seeded.images).flatMap(({ manifest, config, layers }) => [
        manifest,
        config,
        ...layers,
      ])
      t.same(await readLayout(target), {
        tagged: [seeded.index],
        blobs: [seeded.index, ...wanted].toSorted(),
      })
    })
  }

  await suite.test('copy by digest', async (t) => {
    const { index } = stack.image('ocp_4.15_base')
    const target = await stack.scratch('by-digest')
    const copied = await copy(`docker://${stack.host}/openshift/ci@${index}`, `oci:${target}:copy`)
    t.equal(copied.code, 0, copied.output)
    t.same((await readLayout(target)).tagged, [index])
  })

  await suite.test('a person without access reads the message', async (t) => {
    for (const [user, token, image, namespace] of [
      ['mallory', tokens.mallory, 'openshift/ci:ocp_4.5_base', 'ocp'],
      [serviceAccountUser, tokens.serviceAccount, 'ocp/4.5:base', 'ocp'],
      ['alice', tokens.alice, 'ocp-priv/4.5:embargoed', 'ocp-priv'],
    ] as const) {
      const { code, output } = await inspect(image, user, token)
      t.not(code, 0)
      const message = await stack.message(`/v2/${image.replace(':', '/manifests/')}`, token)
      // skopeo logs the error as a quoted string....
      t.match(output.replaceAll('\\"', '"'), `denied: ${message}`)
      for (const word of [user, namespace, 'system:image-puller']) t.match(message, word)
    }
  })

  await suite.test('an unknown token gets the reason', async (t) => {
    const { code, output } = await inspect('openshift/ci:ocp_4.5_base', 'alice', tokens.invalid)
    t.not(code, 0)
    t.match(output, 'unauthorized: ')
    t.match(output.replaceAll('\\"', '"'), await stack.message('/v2/auth', tokens.invalid))
  })

  await suite.test('an absent tag gets the reason that it may not have been promoted', async (t) => {
    const { code, output } = await inspect('openshift/ci:ocp_4.5_no-such-component', 'alice', tokens.alice)
    t.not(code, 0)
    t.match(output, 'manifest unknown: ')
    t.match(output, 'not promoted')
  })

  await suite.test('its texts are those of docs/clients.md', async (t) => {
    const prints = async (image: string, token: string) => (await inspect(image, 'user', token)).output
    await documented(t, stack, 'skopeo', {
      denied: await prints('ocp/4.5:base', tokens.mallory),
      token: await prints('ocp/4.5:base', tokens.invalid),
      absent: await prints('ocp/4.5:no-such-component', tokens.alice),
    })
  })

  await suite.test('no client can push', async (t) => {
    const layout = join(stack.directory, 'layout-ocp_4.15_base')
    const pushed = await copy(
      `oci:${layout}:ocp_4.15_base`,
      `docker://${stack.host}/openshift/ci:ocp_4.5_base`,
    )
    t.not(pushed.code, 0)
    const { digest } = await inspected('openshift/ci:ocp_4.5_base', 'alice', tokens.alice)
    t.equal(digest, stack.image('ocp_4.5_base').index)
  })

  await endStack(suite, stack)
})

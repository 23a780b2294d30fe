import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { documented } from './documented.ts'
import { readImage, readLayout } from './layout.ts'
import { missing, plainEnv, run } from './process.ts'
import { endStack, pullByTag, seeSbom, serviceAccountUser, startQuayStack } from './stack.ts'

const skip = missing('oras')

await test('oras', { skip }, async (suite) => {
  const stack = await startQuayStack(suite)
  const { host, tokens, stock } = stack
  const base = stock.tags.find(({ tag }) => tag === 'ocp_4.5_base')!
  const env = plainEnv({ HOME: stack.directory, DOCKER_CONFIG: stack.directory })
  const oras = (...args: string[]) => run('oras', args, { env })
  const as = (user: string, token: string) => ['--plain-http', '--username', user, '--password', token]
  const alice = as('alice', tokens.alice)
  const copy = (image: string, layout: string, ...options: string[]) => {
    const from = ['--from-plain-http', '--from-username=alice', `--from-password=${tokens.alice}`]
    return oras('cp', '--no-tty', ...from, ...options, `${host}/${image}`, '--to-oci-layout', layout)
  }

  await suite.test('login checks whether the token is valid', async (t) => {
    const config = ['--registry-config', join(stack.directory, 'oras-login.json')]
    const good = await oras('login', ...config, ...alice, host)
    t.match(good, { code: 0, output: /Login Succeeded/ }, good.output)
    const bad = await oras('login', ...config, ...as('alice', tokens.invalid), host)
    t.not(bad.code, 0)
    t.match(bad.output, `unauthorized: ${await stack.message('/v2/auth', tokens.invalid)}`)
  })

  await suite.test('repo tags shows the tags that the requester may pull', async (t) => {
    const list = async (login: string[], repository: string) => {
      const { code, stdout, output } = await oras('repo', 'tags', ...login, `${host}/${repository}`)
      t.equal(code, 0, output)
      return stdout.trim().split('\n').toSorted()
    }
    await pullByTag(stack, 'ocp_4.5_base')
    const open = stock.tags.map(({ tag }) => tag).filter((tag) => !tag.startsWith('ocp-priv_'))
    t.same(await list(alice, 'openshift/ci'), open.toSorted())
    t.same(await list(alice, 'ocp/4.5'), ['base'])
    const team = as(serviceAccountUser, tokens.serviceAccount)
    t.same(await list(team, 'openshift/ci'), ['my-team_app_latest'])
  })

  for (const image of ['openshift/ci:ocp_4.5_base', 'ocp/4.5:base', `openshift/ci@${base.digest}`]) {
    await suite.test(`resolve and copy of ${image.replace(/@.*/, ' by digest')}`, async (t) => {
      const resolved = await oras('resolve', ...alice, `${host}/${image}`)
      t.equal(resolved.stdout.trim(), base.digest, resolved.output)
      const layout = join(stack.directory, image.replaceAll(/[:/@]/g, '-'))
      const copied = await copy(image, `${layout}:copy`)
      t.equal(copied.code, 0, copied.output)
      t.ok((await readLayout(layout)).tagged.includes(base.digest))
      t.equal((await readImage(layout, base.digest)).manifests.length, 1 + base.platforms.length)
    })
  }

  await suite.test('discover finds the referrers of an image by the referrers API', async (t) => {
    const api = ['--distribution-spec', 'v1.1-referrers-api', '--format', 'json']
    const attached = async (...more: string[]) => {
      const { code, stdout, output } = await oras('discover', ...alice, ...api, ...more)
      t.equal(code, 0, output)
      const { referrers } = JSON.parse(stdout) as { referrers: { digest: string }[] | null }
      return (referrers ?? []).map(({ digest }) => digest)
    }
    t.same(await attached(`${host}/ocp/4.5:base`), [], 'nobody has seen it')
    await seeSbom(stack)
    t.same(await attached(`${host}/ocp/4.5:base`), [stock.sbom])
    t.same(await attached(`${host}/ocp/4.5:base`, '--artifact-type=application/spdx+json'), [stock.sbom])
    t.same(await attached(`${host}/ocp/4.5:base`, '--artifact-type=application/other'), [])
    t.same(await attached(`${host}/ocp/4.15:base`), [], 'nothing is attached')
  })

  await suite.test('discover finds it by the referrers tag too', async (t) => {
    const { body, mediaType } = await pullByTag(stack, stock.sbom)
    const index = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        { mediaType, digest: stock.sbom, size: body.length, artifactType: 'application/spdx+json' },
      ],
    }
    const content = Buffer.from(JSON.stringify(index))
    const hash = createHash('sha256').update(content).digest('hex')
    const manifest = { digest: `sha256:${hash}`, mediaType: index.mediaType, body: content } as const
    const tag = base.digest.replace(':', '-')
    stack.quay.tagMany([tag], { ...manifest, manifests: [manifest], blobs: new Map() })
    for (const image of ['ocp/4.5:base', 'openshift/ci:ocp_4.5_base']) {
      const byTag = ['--distribution-spec', 'v1.1-referrers-tag', '--format', 'json', `${host}/${image}`]
      const { code, stdout, output } = await oras('discover', ...alice, ...byTag)
      t.equal(code, 0, output)
      t.match(JSON.parse(stdout), { referrers: [{ digest: stock.sbom }] }, image)
    }
  })

  await suite.test('cp --recursive brings the referrers too', async (t) => {
    const layout = join(stack.directory, 'recursive')
    const copied = await copy('ocp/4.5:base', `${layout}:copy`, '--recursive')
    t.equal(copied.code, 0, copied.output)
    t.equal((await readImage(layout, stock.sbom)).blobs, 2, 'the document and its empty config')
  })

  await suite.test('its texts are those of docs/clients.md', async (t) => {
    // The file that `oras login` would write. It writes none for a refused token.
    const config = join(stack.directory, 'oras-texts.json')
    const prints = async (token: string, image: string) => {
      const auth = Buffer.from(`user:${token}`).toString('base64')
      await writeFile(config, JSON.stringify({ auths: { [host]: { auth } } }))
      const pull = ['pull', '--no-tty', '--plain-http', '--registry-config', config]
      const { code, output } = await oras(...pull, `${host}/${image}`)
      t.not(code, 0)
      return output
    }
    await documented(t, stack, 'oras', {
      denied: await prints(tokens.mallory, 'ocp/4.5:base'),
      token: await prints(tokens.invalid, 'ocp/4.5:base'),
      absent: await prints(tokens.alice, 'ocp/4.5:no-such-component'),
    })
  })

  await suite.test('no client can push', async (t) => {
    const pushed = await oras('tag', ...alice, `${host}/ocp/4.15:base`, 'pushed')
    t.not(pushed.code, 0)
    const list = await oras('repo', 'tags', ...alice, `${host}/ocp/4.15`)
    t.equal(list.stdout.trim(), 'base')
  })

  await endStack(suite, stack)
})

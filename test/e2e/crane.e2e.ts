import { join } from 'node:path'
import { test } from 'tap'
import { loggedIn } from './crane.ts'
import { documented } from './documented.ts'
import { readImage, readLayout } from './layout.ts'
import { answers, freePort, missing, startService } from './process.ts'
import { endStack, pullByTag, type QuayStack, serviceAccountUser, startQuayStack } from './stack.ts'

const skip = missing('crane')

/** The registry of crane, as the target of copies. */
const startTarget = async (stack: QuayStack) => {
  const host = `127.0.0.1:${await freePort()}`
  const service = await startService('crane', ['registry', 'serve', `--address=${host}`], () =>
    answers(`http://${host}/v2/`, 200),
  )
  stack.defer(service.stop)
  return host
}

await test('crane', { skip }, async (suite) => {
  const stack = await startQuayStack(suite)
  const { host, tokens, stock } = stack
  const base = stock.tags.find(({ tag }) => tag === 'ocp_4.5_base')!
  const alice = await loggedIn(stack, 'alice', tokens.alice)
  const user = await loggedIn(stack, serviceAccountUser, tokens.serviceAccount)

  await suite.test('ls shows the tags that the requester may pull', async (t) => {
    const list = async (crane: typeof alice, repository: string) => {
      const { code, stdout, output } = await crane('ls', `${host}/${repository}`)
      t.equal(code, 0, output)
      return stdout.trim().split('\n').toSorted()
    }
    await pullByTag(stack, 'ocp_4.5_base')
    const open = stock.tags.map(({ tag }) => tag).filter((tag) => !tag.startsWith('ocp-priv_'))
    t.same(await list(alice, 'openshift/ci'), open.toSorted())
    t.same(await list(alice, 'ocp/4.5'), ['base'])
    t.same(await list(user, 'openshift/ci'), ['my-team_app_latest'])
  })

  for (const image of ['openshift/ci:ocp_4.5_base', 'ocp/4.5:base', `openshift/ci@${base.digest}`]) {
    await suite.test(`digest and pull of ${image.replace(/@.*/, ' by digest')}`, async (t) => {
      const digest = await alice('digest', `${host}/${image}`)
      t.equal(digest.stdout.trim(), base.digest, digest.output)
      const layout = join(stack.directory, image.replaceAll(/[:/@]/g, '-'))
      const pull = await alice('pull', '--format=oci', `${host}/${image}`, layout)
      t.equal(pull.code, 0, pull.output)
      t.same((await readLayout(layout)).tagged, [base.digest])
      t.equal((await readImage(layout, base.digest)).manifests.length, 1 + base.platforms.length)
    })
  }

  await suite.test('a service account, named with its colons, pulls from its namespace', async (t) => {
    const pull = await user('pull', `${host}/my-team/app:latest`, join(stack.directory, 'app.tar'))
    t.equal(pull.code, 0, pull.output)
  })

  await suite.test('copy to another registry, which then has the whole image', async (t) => {
    const target = await startTarget(stack)
    const copied = await alice('copy', `${host}/ocp/4.5:base`, `${target}/mirror/base:copy`)
    t.equal(copied.code, 0, copied.output)
    const valid = await alice('validate', '--remote', `${target}/mirror/base:copy`)
    t.equal(valid.code, 0, valid.output)
    t.equal((await alice('digest', `${target}/mirror/base:copy`)).stdout.trim(), base.digest)
  })

  await suite.test('its texts are those of docs/clients.md', async (t) => {
    const prints = async (token: string, image: string) => {
      const crane = await loggedIn(stack, 'user', token)
      const { code, output } = await crane('pull', `${host}/${image}`, join(stack.directory, 'refused.tar'))
      t.not(code, 0)
      return output
    }
    await documented(t, stack, 'crane', {
      denied: await prints(tokens.mallory, 'ocp/4.5:base'),
      token: await prints(tokens.invalid, 'ocp/4.5:base'),
      absent: await prints(tokens.alice, 'ocp/4.5:no-such-component'),
    })
  })

  await suite.test('a restricted namespace is closed to QCI-wide requesters', async (t) => {
    const { code, output } = await alice('manifest', `${host}/ocp-priv/4.5:embargoed`)
    t.not(code, 0)
    const message = await stack.message('/v2/ocp-priv/4.5/manifests/embargoed', tokens.alice)
    t.match(output, `DENIED: ${message}`)
  })

  await suite.test('no client can push', async (t) => {
    const pushed = await alice('copy', `${host}/ocp/4.15:base`, `${host}/ocp/4.5:base`)
    t.not(pushed.code, 0)
    t.equal((await alice('digest', `${host}/ocp/4.5:base`)).stdout.trim(), base.digest)
  })

  await endStack(suite, stack)
})

import t from 'tap'
import type { PathRight } from '../../../src/access/reviews.ts'
import type { Identity } from '../../../src/access/identity.ts'
import { createMirrorRights } from '../../../src/page/mirror-queue/mirror-rights.ts'
import { alice } from '../../registry/fakes.ts'

const rights = (answer: (right: PathRight) => boolean) => {
  const seen: string[] = []
  const { require } = createMirrorRights({
    reviewPath: async (_identity, right) => {
      seen.push(`${right.verb} ${right.path}`)
      return { allowed: answer(right), source: 'live' }
    },
  })
  return { require, seen }
}

await t.test('the path of all images opens each of them', async (test) => {
  const { require, seen } = rights(({ path }) => path === '/mirrors')
  test.equal(await require(alice, 'get'), true)
  test.equal(await require(alice, 'post', 'ocp/ubi:9'), true)
  test.strictSame(seen, ['get /mirrors', 'post /mirrors', 'post /mirrors/ocp/ubi:9'])
})

await t.test('the path of an image opens this image alone', async (test) => {
  const { require } = rights(({ path }) => path === '/mirrors/ocp/ubi:9')
  test.equal(await require(alice, 'get', 'ocp/ubi:9'), false)
  await test.rejects(require(alice, 'get'), {
    code: 'DENIED',
    message:
      'alice may not look at the queue in the mirror; ask for a ClusterRole with nonResourceURLs ["/mirrors"] and the verb get',
  })
  await test.rejects(require(alice, 'get', 'ocp/ubi:8'), {
    message: /may not look at ocp\/ubi:8 in the mirror/,
  })
  await test.rejects(require(alice, 'post', 'ocp/ubi:8'), {
    message: /may not sync ocp\/ubi:8 in .* verb post/,
  })
})

await t.test('unknown is never open', async (test) => {
  const down = () => {
    throw new Error('the API server is down')
  }
  await test.rejects(rights(down).require(alice, 'get'), { message: 'the API server is down' })
  const half = ({ path }: PathRight) => path === '/mirrors/ocp/ubi:9' && down()
  await test.rejects(rights(half).require(alice, 'get', 'ocp/ubi:9'), { message: 'the API server is down' })
  const other = ({ path }: PathRight) => path !== '/mirrors' || down()
  test.equal(await rights(other).require(alice, 'get', 'ocp/ubi:9'), false, 'one yes is enough')
})

await t.test('robots have no rights of the cluster', async (test) => {
  const robot: Identity = { kind: 'robot', user: { username: 'openshift+ci', groups: [], extra: {} } }
  const { require, seen } = rights(() => true)
  await test.rejects(require(robot, 'get'), { code: 'DENIED' })
  await test.rejects(require(robot, 'post', 'ocp/ubi:9'), { code: 'DENIED' })
  test.strictSame(seen, [])
})

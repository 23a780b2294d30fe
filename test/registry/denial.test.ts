import t from 'tap'
import { createDenialMessage } from '../../src/registry/denial.ts'

const denied = createDenialMessage('ocp', (namespace) => namespace.endsWith('-priv'))

const digest = `sha256:${'a'.repeat(64)}`

await t.test('the requester, the namespace, and both ways to get access', async (test) => {
  test.match(denied('alice', 'my-team_app_latest', 'my-team'), {
    code: 'DENIED',
    status: 403,
    message:
      'alice may not pull from namespace my-team of QCI; ask to be added to a group of the RoleBinding qci-image-puller in namespace ocp, or for the role system:image-puller in namespace my-team',
  })
})

await t.test('a restricted namespace has one way to get access', async (test) => {
  const { message } = denied('alice', 'x', 'ocp-priv')
  test.equal(
    message,
    'alice may not pull from namespace ocp-priv of QCI, which is restricted; ask for the role system:image-puller in namespace ocp-priv',
  )
})

await t.test('without a namespace the message does not tell where the digest is known', async (test) => {
  const { message } = denied('alice', digest, undefined)
  test.match(message, /^alice may not pull sha256:a{64}: it is not known in an image that you may pull/)
})

await t.test('a digest within a namespace, and a tag without one', async (test) => {
  const { message } = denied('alice', digest, 'ocp')
  test.match(message, /^alice may not pull sha256:a{64} from namespace ocp: it is not known in an image/)
  test.notMatch(message, 'qci-image-puller', 'no promise of a way that may not lead there')
  test.match(
    denied('bob', 'latest', undefined).message,
    /^bob may not pull latest, which belongs to no namespace; ask/,
  )
})

await t.test('a tag that stands for a digest is refused like the digest', async (test) => {
  const hex = 'a'.repeat(64)
  for (const wanted of [
    `sha256-${hex}.sig`,
    `20240101_sha256_${hex}`,
    `art__sha256-${hex}`,
    `SHA256-${hex}.sig`,
  ]) {
    const { message } = denied('alice', wanted, undefined)
    test.match(message, `alice may not pull ${wanted}: it is not known in an image that you may pull`)
    test.notMatch(message, 'belongs to no namespace')
    test.match(denied('alice', wanted, 'ocp').message, `${wanted} from namespace ocp: it is not known`)
  }
})

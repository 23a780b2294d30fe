import t from 'tap'
import { alice } from '../registry/fakes.ts'
import { createLegacyDenialMessage } from '../../src/audit/legacy-denial.ts'

await t.test('by the rule of qci-appci there is one way to get access', async (test) => {
  const { code, status, message } = createLegacyDenialMessage('ocp')({
    identity: alice,
    wanted: 'ocp-priv_4.5_base',
    namespace: 'ocp-priv',
  })
  test.equal(code, 'DENIED')
  test.equal(status, 403)
  test.match(
    message,
    /^alice may not pull ocp-priv_4\.5_base; ask to be added to a group of the RoleBinding qci-image-puller/,
  )
  test.notMatch(message, 'system:image-puller')
})

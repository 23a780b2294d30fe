import t from 'tap'
import { createGrantAdvice } from '../../src/explain/grant-advice.ts'

const account = 'system:serviceaccount:my-team:image-puller'

await t.test('a command for an administrator', async (test) => {
  const advice = createGrantAdvice('oc-policy', 'ocp')
  test.equal(
    advice({ username: 'alice', namespace: 'my-team', isRestricted: false }),
    'ask an administrator of namespace ocp to run: oc policy add-role-to-group qci-image-puller GROUP --role-namespace=ocp -n ocp  # GROUP: a group of alice',
  )
  test.equal(
    advice({ username: 'alice', namespace: 'ocp-priv', isRestricted: true }),
    'ask an administrator of namespace ocp-priv to run: oc policy add-role-to-group system:image-puller GROUP -n ocp-priv  # GROUP: a group of alice',
  )
  test.equal(
    advice({ username: account, namespace: 'other', isRestricted: false }),
    `ask an administrator of namespace other to run: oc policy add-role-to-user system:image-puller ${account} -n other`,
  )
  test.match(
    advice({ username: account, namespace: undefined, isRestricted: false }),
    `oc policy add-role-to-user qci-image-puller ${account}`,
  )
})

await t.test('app.ci: a pull request that adds a subject to the right file', async (test) => {
  const advice = createGrantAdvice('release-repo', 'ocp')
  const begin = 'open a pull request for https://github.com/openshift/release that adds '
  test.equal(
    advice({ username: 'al\u{1b}ice', namespace: 'ocp', isRestricted: false }),
    `${begin}a group of al?ice to the subjects in clusters/app.ci/assets/admin_qci-image-puller_rbac.yaml`,
  )
  test.equal(
    advice({ username: account, namespace: 'other', isRestricted: false }),
    `${begin}the ServiceAccount image-puller of namespace my-team to the subjects of a RoleBinding of system:image-puller in namespace other, below clusters/app.ci/registry-access/other`,
  )
})

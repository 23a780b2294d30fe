import t from 'tap'
import { explainByRules as explain, type RulesOptions } from '../../src/explain/by-rules.ts'

const options: RulesOptions = {
  isRestricted: (namespace) => namespace.endsWith('-priv'),
  unknownDigests: 'allow',
  qciNamespace: 'ocp',
  monorepo: 'openshift/ci',
  exposedHost: 'proxy.example:5000',
  grantAdvice: 'oc-policy',
}
const digest = `sha256:${'a'.repeat(64)}`

await t.test('both forms of a tag show names, namespace, reviews in order, and commands', async (test) => {
  const text = explain('ocp/4.5:base', options)
  test.equal(
    text,
    `podman pull proxy.example:5000/ocp/4.5:base
  QCI tag       ocp_4.5_base
  image stream  4.5
  namespace     ocp
  restricted    no

Whoever gets a yes to one of these SubjectAccessReviews may pull it:
  get imagestreams/layers of image.openshift.io in namespace ocp
      oc policy add-role-to-group qci-image-puller GROUP --role-namespace=ocp -n ocp  # GROUP: a group of whoever is to pull it
      oc policy add-role-to-user qci-image-puller system:serviceaccount:NAMESPACE:NAME --role-namespace=ocp -n ocp
  get imagestreams/layers of image.openshift.io in namespace ocp, named 4.5
      oc policy add-role-to-group system:image-puller GROUP -n ocp  # GROUP: a group of whoever is to pull it
      oc policy add-role-to-user system:image-puller system:serviceaccount:NAMESPACE:NAME -n ocp

Who you are, and so whether you may pull it, only a proxy knows.
Next: quay-proxy explain proxy.example:5000/ocp/4.5:base --server https://proxy.example:5000`,
  )
  const rest = text.split('\n').slice(1, -1)
  for (const same of [
    'openshift/ci:ocp_4.5_base',
    'docker://proxy.example:5000/ocp/4.5:base',
    'quay-proxy.ci.openshift.org/ocp/4.5:base',
    'registry.ci.openshift.org/ocp/4.5:base',
    'quay.io/openshift/ci:ocp_4.5_base',
  ])
    test.strictSame(explain(same, options).split('\n').slice(1, -1), rest, same)
})

await t.test('tags that are restricted, ambiguous, or without a namespace', async (test) => {
  const restricted = explain('ocp-priv/4.5:base', options)
  test.match(restricted, /restricted +yes/)
  test.notMatch(restricted, 'qci-image-puller')
  const uncertain = explain('a/b:c_d', options)
  test.match(uncertain, /image stream +not certain/)
  test.notMatch(uncertain, ', named')
  const latest = explain('openshift/ci', options)
  test.match(
    latest,
    /QCI tag +latest\n +image stream +none\n +namespace +none: no namespace owns the tag, so only QCI-wide access opens it\n +restricted +if a restricted tag reaches the same image: /,
  )
  test.notMatch(latest, 'system:image-puller')
})

await t.test('each family of tags is explained as the proxy reads it', async (test) => {
  const hex = 'a'.repeat(64)
  const stamp = '20240101120000'
  const rows = [
    [
      `${stamp}_prune___ci_images_mirror__ocp-priv_4.5_base`,
      /image stream +4\.5\n +namespace +ocp-priv\n +restricted +yes:/,
    ],
    ['art__my-team_app_x', /image stream +app\n +namespace +my-team\n +restricted +no\n/],
    ['rc_payload__4.20.0', /image stream +none\n +namespace +none: no namespace owns the tag/],
    ['art__0123456789abcdef', /image stream +none\n +namespace +none: no namespace owns the tag/],
    [
      'tomorrow__ocp-priv_x',
      /image stream +none\n +namespace +ocp-priv\n +restricted +yes, by its part ocp-priv: QCI-wide/,
    ],
    ['my-team_x_y__ocp-priv_z', /namespace +ocp-priv\n +restricted +yes, by its part ocp-priv: QCI-wide/],
    [`sha256-${hex}.sig`, /stands for +sha256:a{64}\n +namespace +those/],
  ] as const
  for (const [tag, expected] of rows) test.match(explain(`openshift/ci:${tag}`, options), expected, tag)
  test.match(
    explain(`ocp/4.5:sha256-${hex}.sig`, options),
    new RegExp(`QCI tag +sha256-${hex}\\.sig\n +stands for +sha256:${hex}\n +namespace +ocp\n`),
  )
})

await t.test('a digest needs QCI-wide access, or access to a namespace where it was seen', async (test) => {
  for (const text of [digest, `openshift/ci@${digest}`, `openshift/ci:ocp_4.5_base@${digest}`]) {
    const explained = explain(text, options)
    test.match(explained, `digest        ${digest}`)
    test.match(explained, /namespace +those that the digest was seen in\n +restricted +if every/)
    test.match(explained, 'in namespace NAMESPACE, if the digest was seen in it\n')
    test.match(explained, 'qci-image-puller')
  }
  test.match(explain(`ocp/4.5@${digest}`, options), 'in namespace ocp, if the digest was seen in it')
  const dated = explain(`openshift/ci:20240101_${digest.replace(':', '_')}`, options)
  test.match(dated, `stands for    ${digest}`)
})

await t.test('an unseen digest that is closed shows QCI-wide access with its condition', async (test) => {
  const condition = ', if it was seen in a namespace that is not restricted'
  for (const text of [digest, `ocp/4.5@${digest}`]) {
    test.notMatch(explain(text, options), condition, 'open at once')
    const [, reviews = ''] = explain(text, { ...options, unknownDigests: 'deny' }).split('may pull it:\n')
    test.match(
      reviews,
      new RegExp(
        `^  get imagestreams/layers of image.openshift.io in namespace ocp${condition}\n      oc policy .*qci-image-puller`,
      ),
      text,
    )
    test.match(reviews, ', if the digest was seen in it\n')
  }
  const tag = explain('ocp-priv/4.5:base', { ...options, unknownDigests: 'deny' })
  test.notMatch(tag, condition)
})

await t.test('a text that is no reference is an error', async (test) => {
  test.throws(() => explain('base', options), {
    message: /^"base" is not a reference of QCI, .* expected ocp\/4\.5:base/,
  })
  test.throws(() => explain('', options))
  test.throws(() => explain('OCP/4.5:base', options), { code: 'NAME_INVALID' })
  test.throws(() => explain('ocp/4.5@sha256:abc', options), { code: 'DIGEST_INVALID' })
})

await t.test('if access is kept in a repository, the grant is a pull request', async (test) => {
  const text = explain('ocp/4.5:base', { ...options, grantAdvice: 'release-repo' })
  test.match(text, 'clusters/app.ci/assets/admin_qci-image-puller_rbac.yaml')
  test.match(text, 'below clusters/app.ci/registry-access/ocp')
  test.notMatch(text, 'oc policy')
})

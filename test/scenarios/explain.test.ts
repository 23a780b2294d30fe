/**
 * Ten questions of people who cannot pull, answered by /access with their own logins: the whole text, as `quay-proxy explain` prints it.
 */
import { readFileSync } from 'node:fs'
import type { Test } from 'tap'
import { explanationText } from '../../src/explain/explanation.ts'
import type { Answer } from '../../src/explain/by-proxy.ts'
import { scenario, type Scenario } from './scenario.ts'

const ask = async ({ ask: send, url }: Scenario, token: string, image: string) => {
  const { status, body, message } = await send(`/access?image=${encodeURIComponent(image)}`, { token })
  const text = status === 200 ? explanationText(JSON.parse(body.toString()) as Answer) : message
  return {
    status,
    text: text.replaceAll(new URL(url).host, 'HOST').replaceAll(/sha256:\w{64}/g, 'sha256:...'),
  }
}

/** The ten are in the documents, word for word. */
const document = readFileSync('docs/explain.md', 'utf8')

const question = async (t: Test, s: Scenario, token: string, image: string, expected: string) => {
  t.equal((await ask(s, token, image)).text, expected, image)
  t.ok(document.includes(`\n${expected}\n`), `docs/explain.md: ${image}`)
}

await scenario('ten questions: what is answered, and what to do next', async (t, s) => {
  const { alice, puller, mallory, kubernetes, remember } = s
  await question(
    t,
    s,
    alice,
    'registry.ci.openshift.org/ocp/4.5:base',
    `podman pull HOST/ocp/4.5:base
  you are       alice (user)
  QCI tag       ocp_4.5_base
  image stream  ocp/4.5
  namespace     ocp
  restricted    no
  review        yes: qci-image-puller in namespace ocp
  in QCI        yes, sha256:...

You may pull it: you have QCI-wide access, which opens every namespace that is not restricted.
Next: podman pull HOST/ocp/4.5:base`,
  )
  await question(
    t,
    s,
    mallory,
    'ocp/4.5:base',
    `podman pull HOST/ocp/4.5:base
  you are       mallory (user)
  QCI tag       ocp_4.5_base
  image stream  ocp/4.5
  namespace     ocp
  restricted    no
  review        no: qci-image-puller in namespace ocp
  review        no: system:image-puller in namespace ocp, image stream 4.5

mallory may not pull from namespace ocp of QCI; ask to be added to a group of the RoleBinding qci-image-puller in namespace ocp, or for the role system:image-puller in namespace ocp.
Next: ask an administrator of namespace ocp to run: oc policy add-role-to-group qci-image-puller GROUP --role-namespace=ocp -n ocp  # GROUP: a group of mallory`,
  )
  await question(
    t,
    s,
    alice,
    'ocp-priv/4.5:embargoed',
    `podman pull HOST/ocp-priv/4.5:embargoed
  you are       alice (user)
  QCI tag       ocp-priv_4.5_embargoed
  image stream  ocp-priv/4.5
  namespace     ocp-priv
  restricted    yes: QCI-wide access does not open it
  review        no: system:image-puller in namespace ocp-priv, image stream 4.5

alice may not pull from namespace ocp-priv of QCI, which is restricted; ask for the role system:image-puller in namespace ocp-priv.
Next: ask an administrator of namespace ocp-priv to run: oc policy add-role-to-group system:image-puller GROUP -n ocp-priv  # GROUP: a group of alice`,
  )
  await question(
    t,
    s,
    puller,
    'my-team/app:latest',
    `podman pull HOST/my-team/app:latest
  you are       system:serviceaccount:my-team:image-puller (service-account)
  QCI tag       my-team_app_latest
  image stream  my-team/app
  namespace     my-team
  restricted    no
  review        yes: system:image-puller in namespace my-team, image stream app
  in QCI        yes, sha256:...

You may pull it: you have system:image-puller in namespace my-team.
Next: podman pull HOST/my-team/app:latest`,
  )
  await question(
    t,
    s,
    puller,
    'ocp/4.5:base',
    `podman pull HOST/ocp/4.5:base
  you are       system:serviceaccount:my-team:image-puller (service-account)
  QCI tag       ocp_4.5_base
  image stream  ocp/4.5
  namespace     ocp
  restricted    no
  review        no: qci-image-puller in namespace ocp
  review        no: system:image-puller in namespace ocp, image stream 4.5

system:serviceaccount:my-team:image-puller may not pull from namespace ocp of QCI; ask for a RoleBinding of system:image-puller to the service account my-team/image-puller in namespace ocp.
Next: ask an administrator of namespace ocp to run: oc policy add-role-to-user system:image-puller system:serviceaccount:my-team:image-puller -n ocp`,
  )
  await question(
    t,
    s,
    alice,
    'ocp/4.5:bsae',
    `podman pull HOST/ocp/4.5:bsae
  you are       alice (user)
  QCI tag       ocp_4.5_bsae
  image stream  ocp/4.5
  namespace     ocp
  restricted    no
  review        yes: qci-image-puller in namespace ocp
  in QCI        no

You may pull it: you have QCI-wide access, which opens every namespace that is not restricted. But ocp_4.5_bsae is not in QCI: it was not promoted or not mirrored yet, or it was pruned.
Next: did you mean base? pull HOST/ocp/4.5:base`,
  )
  await question(
    t,
    s,
    alice,
    'docker.io/library/ubuntu:22.04',
    'docker.io is another registry: what it holds is not in QCI, and not decided about here; ask whoever runs it',
  )
  await question(
    t,
    s,
    alice,
    'ocp_4.5_base',
    '"ocp_4.5_base" is no image of QCI; did you mean HOST/openshift/ci:ocp_4.5_base?',
  )
  await question(
    t,
    s,
    mallory,
    `ocp/4.5@sha256:${'d'.repeat(64)}`,
    `podman pull HOST/ocp/4.5@sha256:...
  you are       mallory (user)
  digest        sha256:...
  namespace     ocp

mallory may not pull from namespace ocp of QCI; ask to be added to a group of the RoleBinding qci-image-puller in namespace ocp, or for the role system:image-puller in namespace ocp. A digest opens once an image that has it is known: pull it by its tag first.
Next: ask an administrator of namespace ocp to run: oc policy add-role-to-group qci-image-puller GROUP --role-namespace=ocp -n ocp  # GROUP: a group of mallory`,
  )
  const limited = remember(
    kubernetes.issueUserToken({
      username: 'alice',
      groups: ['qci-image-pullers'],
      scopes: ['user:info'],
    }),
  )
  const scoped = await ask(s, limited, 'ocp/4.5:base')
  t.match(
    scoped.text,
    /\nthe token of alice is limited to the scopes user:info, which do not allow this pull; /,
  )
  const [end = ''] = /\nthe token of alice [^]*$/.exec(scoped.text) ?? []
  t.ok(end !== '' && document.includes(end), 'docs/explain.md: a token with scopes')
  t.match(scoped.text, /\nNext: oc login, then podman login -u=\$\(oc whoami\) -p=\$\(oc whoami -t\) HOST$/)
})

await scenario('attack: absent and forbidden images are told apart by nothing', async (t, s) => {
  const { mallory, puller, stock } = s
  const embargoed = stock.tags.find(({ tag }) => tag === 'ocp-priv_4.5_embargoed')?.digest ?? ''
  const absent = `sha256:${'e'.repeat(64)}`
  const before = s.upstreamRequests()
  const pairs = [
    ['ocp/4.5:base', 'ocp/4.5:none'],
    ['ocp-priv/4.5:embargoed', 'ocp-priv/4.5:absentia.'],
    [`ocp-priv/4.5@${embargoed}`, `ocp-priv/4.5@${absent}`],
    [`openshift/ci@${embargoed}`, `openshift/ci@${absent}`],
  ] as const
  for (const token of [mallory, puller])
    for (const [present, missing] of pairs) {
      const texts = [await ask(s, token, present), await ask(s, token, missing)].map(({ status, text }) =>
        `${status} ${text}`.replaceAll(/base|none|embargoed|absentia\./g, 'TAG'),
      )
      t.equal(texts[0], texts[1], present)
      t.notMatch(texts[0], 'in QCI')
    }
  t.equal(s.upstreamRequests(), before, 'upstream gets no request')
})

await scenario(
  'app.ci: a subject in the right file instead of a command',
  async (t, s) => {
    const { text } = await ask(s, s.puller, 'ocp/4.5:base')
    t.match(
      text,
      /\nNext: open a pull request for https:\/\/github.com\/openshift\/release that adds the ServiceAccount image-puller of namespace my-team to the subjects of a RoleBinding of system:image-puller in namespace ocp, below clusters\/app.ci\/registry-access\/ocp$/,
    )
    t.notMatch(text, 'oc policy')
  },
  ['--grant-advice=release-repo'],
)

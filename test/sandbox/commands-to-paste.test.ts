import t from 'tap'
import { commandsToPaste } from '../../src/sandbox/commands-to-paste.ts'
import type { Person } from '../../src/sandbox/people.ts'

const person = (username: string, isQciWide: boolean): Person => ({
  username,
  token: `token-of-${username}`,
  who: 'a user, in no group',
  reach: { isQciWide, namespaces: [] },
})

const kubernetes = {
  mayPull: (token: string, asked: readonly { readonly namespace: string }[]) =>
    asked.map(({ namespace }) => token === 'token-of-alice' && namespace === 'ocp'),
}

await t.test(
  'each login stands above its pulls, and the login with the most rights comes last',
  async (test) => {
    const sandbox = { url: 'http://127.0.0.1:8400', kubernetes } as unknown as Parameters<
      typeof commandsToPaste
    >[0]
    const lines = commandsToPaste(sandbox, [person('alice', true), person('mallory', false)])
    const pull = '  podman pull --tls-verify=false 127.0.0.1:8400'
    test.strictSame(lines, [
      '',
      '  # mallory, a user, in no group: nothing',
      '  podman login --tls-verify=false -u mallory -p token-of-mallory 127.0.0.1:8400',
      `${pull}/ocp/4.5:base  # refused, as it should be`,
      `${pull}/my-team/app:latest  # refused, as it should be`,
      `${pull}/ocp-priv/4.5:embargoed  # refused, as it should be`,
      '',
      '  # alice, a user, in no group: every namespace that is not restricted',
      '  podman login --tls-verify=false -u alice -p token-of-alice 127.0.0.1:8400',
      `${pull}/ocp/4.5:base`,
      `${pull}/my-team/app:latest`,
      `${pull}/ocp-priv/4.5:embargoed  # refused, as it should be`,
      `${pull}/openshift/ci:ocp_4.5_base`,
    ])
  },
)

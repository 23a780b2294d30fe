import t from 'tap'
import { imagePullerCommand, qciImagePullerCommand } from '../../src/access/grant-commands.ts'

const account = { kind: 'user', name: 'system:serviceaccount:my-team:puller' } as const
const alice = { kind: 'group-of', name: 'alice' } as const

await t.test(
  'commands for a ClusterRole in a namespace, and for a Role of the QCI namespace',
  async (test) => {
    test.equal(
      imagePullerCommand(account, 'ocp'),
      'oc policy add-role-to-user system:image-puller system:serviceaccount:my-team:puller -n ocp',
    )
    test.equal(
      imagePullerCommand(alice, 'ocp-priv'),
      'oc policy add-role-to-group system:image-puller GROUP -n ocp-priv  # GROUP: a group of alice',
    )
    test.equal(
      qciImagePullerCommand(account, 'ocp'),
      'oc policy add-role-to-user qci-image-puller system:serviceaccount:my-team:puller --role-namespace=ocp -n ocp',
    )
    test.match(
      qciImagePullerCommand(alice, 'ocp'),
      'add-role-to-group qci-image-puller GROUP --role-namespace=ocp',
    )
  },
)

await t.test('attack: any name is one word for a shell', async (test) => {
  const command = imagePullerCommand({ kind: 'user', name: "a'; rm -rf $(b) #" }, 'ocp')
  test.equal(command, `oc policy add-role-to-user system:image-puller 'a'\\''; rm -rf $(b) #' -n ocp`)
  test.match(
    imagePullerCommand({ kind: 'group-of', name: 'a\nrm -rf' }, 'ocp'),
    /# GROUP: a group of a\?rm -rf$/,
  )
})

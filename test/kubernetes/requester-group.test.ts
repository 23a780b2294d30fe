import t from 'tap'
import { shareOf } from '../../src/kubernetes/requester-group.ts'

const share = (username: string) => shareOf({ user: { username, groups: [], extra: {} } })

await t.test(
  "a person's share is by name; the service accounts of a namespace have one share",
  async (test) => {
    test.equal(share('alice'), 'alice')
    test.equal(share('system:anonymous'), 'system:anonymous')
    test.equal(share('system:serviceaccount:ci:one'), share('system:serviceaccount:ci:two'))
    test.not(share('system:serviceaccount:ci:one'), share('system:serviceaccount:co:one'))
    for (const odd of ['system:serviceaccount:ci', 'system:serviceaccount::x', 'system:serviceaccount:a:b:c'])
      test.equal(share(odd), odd)
  },
)

import t from 'tap'
import { didYouMean } from '../../src/config/did-you-mean.ts'

const names = ['listen-addr', 'log-level', 'tag-ttl', 'as']

await t.test('a name within a few letters is named', async (test) => {
  test.equal(didYouMean('listen-adr', names, '--'), '; did you mean --listen-addr?')
  test.equal(didYouMean('loglevel', names), '; did you mean log-level?')
  test.equal(didYouMean('tga-ttl', names), '; did you mean tag-ttl?')
  test.equal(didYouMean('a', names), '; did you mean as?')
  test.equal(didYouMean('sa', names), '; did you mean as?')
  test.equal(didYouMean('prot', ['perl', 'port'], '--'), '; did you mean --port?')
})

await t.test('another name is not', async (test) => {
  for (const typed of ['bogus', 'kubeconfig', 'xyz', 'sx', 'sa1', ''])
    test.equal(didYouMean(typed, names), ';', typed)
  test.equal(didYouMean('as', []), ';')
})

import t from 'tap'
import { flag, nonEmpty } from '../../src/config/flag-kinds.ts'
import { describeSettings, givenSettings, settingsOf } from '../../src/config/settings.ts'

const text = { expected: 'a text', parse: nonEmpty }
const flags = {
  url: flag('url', 'http://a', 'a URL', text),
  level: flag('level', 'info', 'a level', text),
  file: flag('file', undefined, 'a file', text),
}
const given = new Map([
  ['url', { texts: ['redis://proxy:hunter2@valkey'], origin: '--url' }],
  ['level', { texts: ['warn'], origin: 'QUAY_PROXY_LEVEL' }],
])

await t.test('each setting, and where it comes from; the user of a URL is left out', async (test) => {
  test.strictSame(settingsOf(flags, given), [
    { name: 'url', value: '***@valkey', from: '--url' },
    { name: 'level', value: 'warn', from: 'QUAY_PROXY_LEVEL' },
    { name: 'file', value: undefined, from: 'default' },
  ])
})

await t.test('for the log: those that were given', async (test) => {
  test.strictSame(givenSettings(settingsOf(flags, new Map())), [])
  test.strictSame(givenSettings(settingsOf(flags, given)), ['--url=***@valkey', '--level=warn'])
})

await t.test('for a person: a line each', async (test) => {
  test.equal(
    describeSettings(settingsOf(flags, given)),
    ['--url=***@valkey  # --url', '--level=warn      # QUAY_PROXY_LEVEL', '# not set: --file'].join('\n'),
  )
})

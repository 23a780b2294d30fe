import t from 'tap'
import * as scripts from '../../src/shared-state/scripts.ts'

await t.test('each script gets the keys that it names', async (test) => {
  for (const [name, { lua, keys }] of Object.entries(scripts)) {
    const named = [...lua.matchAll(/KEYS\[(\d+)/g)].map(([, number]) => Number(number))
    const base = lua.includes('KEYS[3 + i]') ? 5 : 0
    test.equal(Math.max(base, ...named), keys, name)
  }
})

await t.test(
  'a reading script begins with a write that changes nothing, which a read-only replica refuses',
  async (test) => {
    const { openScript, readScript, beatScript, readIndexScript } = scripts
    for (const { lua } of [openScript, readScript, beatScript, readIndexScript])
      test.match(
        lua,
        /^(?:local full = redis\.pcall\('SETRANGE', KEYS\[3\], 0, ''\)\n)?redis\.call\('DEL', KEYS\[\d\]\)/,
      )
  },
)

/**
 * The house as a failing test: which folder may import from which, as docs/architecture.md draws it, and that no two files import each
 * other in a circle.
 */
import { readFileSync, globSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

type Drawing = ReadonlyMap<string, readonly string[]>

/** Each fenced block of the document that holds arrows, in its order. */
const drawings: readonly Drawing[] = [
  ...readFileSync('docs/architecture.md', 'utf8').matchAll(/^```\n((?:\S+ ->.*\n)+)```$/gm),
].map(
  ([, lines = '']) =>
    new Map(
      lines
        .trim()
        .split('\n')
        .map((line) => line.split('->').map((part) => part.trim()))
        .map(([from = '', to = '']) => [from, to === '' ? [] : to.split(' ')]),
    ),
)
const [rooms, upstreamRooms] = drawings as [Drawing, Drawing]

const files = globSync('src/**/*.ts').toSorted()
const roomOf = (file: string): string => file.split('/')[1] ?? ''

const importsOf = (file: string): string[] =>
  [
    ...readFileSync(file, 'utf8').matchAll(/(?:^(?:import|export)\s[^'"]*?from\s+|\bimport\()'(\.[^']+)'/gm),
  ].map(([, path = '']) => normalize(join(dirname(file), path)))

await t.test('the drawing is complete, and every arrow points downward', async (t) => {
  t.equal(drawings.length, 2)
  t.ok(rooms.size > 10)
  const order = [...rooms.keys()]
  t.strictSame(order.toSorted(), [...new Set(files.map(roomOf))].toSorted(), 'each room has a line')
  for (const [from, targets] of rooms)
    for (const to of targets) t.ok(order.indexOf(to) > order.indexOf(from), `${from} -> ${to}`)
})

await t.test('imports match the drawing', async (t) => {
  t.ok(files.length > 40)
  const seen = new Set<string>()
  for (const file of files) {
    const from = roomOf(file)
    for (const target of importsOf(file)) {
      const to = roomOf(target)
      if (to === from) continue
      seen.add(`${from} -> ${to}`)
      t.ok(rooms.get(from)?.includes(to), `${file} may import ${target}`)
    }
  }
  const drawn = [...rooms].flatMap(([from, targets]) => targets.map((to) => `${from} -> ${to}`))
  t.strictSame(drawn.toSorted(), [...seen].toSorted(), 'no arrow is left over')
})

await t.test('main.ts is the only file at the top of src', async (t) => {
  t.strictSame(globSync('src/*.ts'), ['src/main.ts'])
})

await t.test('the stages of a fetch know nothing of each other', async (t) => {
  const within = files.filter((file) => roomOf(file) === 'upstream')
  t.ok(within.length > 40)
  const placeOf = (file: string) => file.split('/').slice(2)
  for (const file of within) {
    const [from = ''] = placeOf(file)
    for (const target of importsOf(file).filter((path) => roomOf(path) === 'upstream')) {
      const [to = '', isInRoom] = placeOf(target)
      if (isInRoom !== undefined && to !== from && upstreamRooms.has(from))
        t.ok(upstreamRooms.get(from)?.includes(to), `${file} may import ${target}`)
    }
  }
})

await t.test('no file imports itself over others', async (t) => {
  const visiting: string[] = []
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string): void => {
    if (done.has(file)) return
    if (visiting.includes(file)) {
      circles.push([...visiting.slice(visiting.indexOf(file)), file].join(' -> '))
      return
    }
    visiting.push(file)
    importsOf(file).forEach(visit)
    visiting.pop()
    done.add(file)
  }
  files.forEach(visit)
  t.same(circles, [])
})

await t.test('only the main files touch the process', async (t) => {
  const touching = files.filter((file) =>
    /\bprocess\.(?:env|argv|exit|on|stdout|stderr)\b/.test(readFileSync(file, 'utf8')),
  )
  t.same(touching.toSorted(), ['src/credential-helper/main.ts', 'src/main.ts', 'src/mirror/main.ts'])
})

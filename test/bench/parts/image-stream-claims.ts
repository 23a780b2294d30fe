/** Runs the measurement of what ImageStreams claim, which is a program of its own. */
import { join } from 'node:path'
import type { Part } from '../section.ts'
import { runTool } from '../system/processes.ts'

const program = join(import.meta.dirname, '../image-stream-claims.ts')

export const imageStreamClaims: Part = {
  name: 'image-stream-claims',
  title: 'Memory of what ImageStreams claim',
  about:
    'What `--imagestreams=watch` keeps in memory for half a million digests, by how many image streams share each.',
  run: async () => {
    const { stdout } = await runTool(process.execPath, ['--expose-gc', program])
    const lines = stdout.trim().split('\n')
    return { tables: [], outcomes: [], notes: [lines.map((line) => `- ${line}`).join('\n')] }
  },
}

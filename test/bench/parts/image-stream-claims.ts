/** Runs the measurement of the claims of ImageStreams, a program of its own. */
import { join } from 'node:path'
import type { Part } from '../section.ts'
import { runTool } from '../system/processes.ts'

const program = join(import.meta.dirname, '../image-stream-claims.ts')

export const imageStreamClaims: Part = {
  name: 'image-stream-claims',
  title: 'Memory of what ImageStreams claim',
  about:
    'The memory that `--imagestreams=watch` takes for half a million digests, by the number of image streams that share each digest.',
  run: async () => {
    const { stdout } = await runTool(process.execPath, ['--expose-gc', program])
    const lines = stdout.trim().split('\n')
    return { tables: [], outcomes: [], notes: [lines.map((line) => `- ${line}`).join('\n')] }
  },
}

/**
 * Memory of the kernel for the sockets of a process. It is in no resident memory.
 * @see https://man7.org/linux/man-pages/man8/ss.8.html
 */
import { family } from './proc.ts'
import { runTool } from './processes.ts'

/**
 * `rmem_alloc`, `fwd_alloc` and `wmem_queued`. Bytes on their way to the network (`wmem_alloc`, t) are queued (w) as well until they are
 * acknowledged: both together would count them twice.
 */
const skmem = /skmem:\(r(\d+),.*?,f(\d+),w(\d+),/

/** Of a process and its children together, in bytes; undefined without `ss` of iproute2. */
export const socketBytes = async (pid: number): Promise<number | undefined> => {
  const pids = family(pid).map((one) => `,pid=${one},`)
  const printed = await runTool('ss', ['--tcp', '--memory', '--processes', '--numeric', '--oneline']).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    },
  )
  return printed?.stdout
    .split('\n')
    .filter((line) => pids.some((one) => line.includes(one)))
    .flatMap((line) => skmem.exec(line)?.slice(1) ?? [])
    .reduce((total, bytes) => total + Number(bytes), 0)
}

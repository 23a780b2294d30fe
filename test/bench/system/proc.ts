/**
 * CPU, memory and descriptors of a process and its children together, from /proc. nginx works in a child.
 * @see https://man7.org/linux/man-pages/man5/proc.5.html
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100
/** Milliseconds without CPU after which a process counts as idle. */
const idleMs = 300

/** Seconds of CPU, user and system; to a hundredth. */
export const cpuSeconds = (pid: number): number => sum(pid, ownCpuSeconds)

/** Seconds of CPU until the process is idle again, including its work after the last byte. */
export const cpuSecondsOf = async (pid: number, work: () => Promise<unknown>): Promise<number> => {
  const before = cpuSeconds(pid)
  await work()
  for (let last = -1; last !== cpuSeconds(pid);) {
    last = cpuSeconds(pid)
    await sleep(idleMs)
  }
  return cpuSeconds(pid) - before
}

export const rssBytes = (pid: number): number => sum(pid, (one) => statusBytes(one, 'VmRSS'))

/** The peak so far. Children that have ended are not counted. */
export const peakRssBytes = (pid: number): number => sum(pid, (one) => statusBytes(one, 'VmHWM'))

/** Open descriptors. */
export const descriptors = (pid: number): number => sum(pid, (one) => readdirSync(`/proc/${one}/fd`).length)

/** A process and its children. */
export const family = (pid: number): readonly number[] => [pid, ...childrenOf(pid).flatMap(family)]

const sum = (pid: number, measure: (pid: number) => number): number =>
  family(pid).reduce((total, one) => total + measure(one), 0)

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((text) => text !== '')
    .map(Number)

const ownCpuSeconds = (pid: number): number => {
  // The name in parentheses may contain spaces. Field 3 follows it. utime and stime are fields 14 and 15.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[14 - 3]) + Number(fields[15 - 3])) / ticksPerSecond
}

const statusBytes = (pid: number, field: 'VmRSS' | 'VmHWM'): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024
}

/**
 * The Prometheus metrics of the process: CPU, memory, open files and the event loop, under the names that dashboards for Node.js use. Not
 * `collectDefaultMetrics` of prom-client: at each scrape it makes lists of all handles, of which a busy proxy has thousands.
 */
import { readdir, readFile } from 'node:fs/promises'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { Counter, Gauge, type Registry } from 'prom-client'

/** Milliseconds between two measurements of the delay. */
const resolutionMs = 20

export interface ProcessMetrics {
  readonly close: () => void
}

/** For as long as the process runs, or until it is closed. */
export const createProcessMetrics = (registry: Registry): ProcessMetrics => {
  const gauge = (name: string, help: string, value: () => number | Promise<number>) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        this.set(await value())
      },
    })
  void new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the process.',
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })
  gauge(
    'process_start_time_seconds',
    'When the process started, as a Unix time.',
    () => performance.timeOrigin / 1000,
  )
  gauge('process_resident_memory_bytes', 'Memory of the process.', () => process.memoryUsage.rss())
  gauge('process_open_fds', 'Open files and sockets.', async () => await countOpenFiles())
  gauge('process_max_fds', 'Limit on open files and sockets.', async () => await maxOpenFiles())
  gauge('nodejs_heap_size_used_bytes', 'Memory of JavaScript objects.', () => process.memoryUsage().heapUsed)
  gauge('nodejs_external_memory_bytes', 'Memory of buffers.', () => process.memoryUsage().external)
  return eventLoopMetrics(gauge)
}

const eventLoopMetrics = (
  gauge: (name: string, help: string, value: () => number) => unknown,
): ProcessMetrics => {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs })
  delays.enable()
  const seconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1e3)
  let before = performance.eventLoopUtilization()
  gauge(
    'nodejs_eventloop_lag_p99_seconds',
    'Delay of the event loop since the scrape before: 99 % of the measurements are below.',
    () => seconds(delays.percentile(99)),
  )
  gauge(
    'nodejs_eventloop_lag_max_seconds',
    'The longest delay of the event loop since the scrape before.',
    () => {
      const longest = seconds(delays.max)
      delays.reset()
      return longest
    },
  )
  gauge(
    'nodejs_eventloop_utilization_ratio',
    'Part of the time since the scrape before that the event loop was busy.',
    () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      return utilization
    },
  )
  return { close: () => void delays.disable() }
}

/** NaN if the system has no such files. */
const countOpenFiles = async (): Promise<number> =>
  await readdir('/proc/self/fd').then(
    ({ length }) => length,
    () => NaN,
  )

const maxOpenFiles = async (): Promise<number> =>
  await readFile('/proc/self/limits', 'utf8').then(softLimitIn, () => NaN)

/** @param limits as Linux writes them; exported for its test */
export const softLimitIn = (limits: string): number => {
  const [, soft = ''] = /^Max open files +(\S+)/m.exec(limits) ?? []
  return soft === 'unlimited' ? Infinity : Number(soft || NaN)
}

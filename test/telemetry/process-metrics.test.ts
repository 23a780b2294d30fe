import { setTimeout as sleep } from 'node:timers/promises'
import { Registry } from 'prom-client'
import t from 'tap'
import { createProcessMetrics, softLimitIn } from '../../src/telemetry/process-metrics.ts'

const valuesOf = async (registry: Registry): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries(
    (await registry.getMetricsAsJSON()).map(({ name, values }) => [name, values[0]?.value ?? NaN]),
  )

await t.test('CPU, memory, files and the event loop', async (test) => {
  const registry = new Registry()
  const metrics = createProcessMetrics(registry)
  test.teardown(metrics.close)
  // The first turn is no measurement.
  await sleep(50)
  const before = await valuesOf(registry)
  await sleep(50)
  const busyUntil = performance.now() + 150
  while (performance.now() < busyUntil);
  // One turn, in which the delay is measured.
  await sleep(50)
  const after = await valuesOf(registry)
  const { process_cpu_seconds_total: cpu = 0, nodejs_eventloop_lag_max_seconds: lag = 0 } = after
  test.ok(cpu > (before['process_cpu_seconds_total'] ?? Infinity), 'the CPU time grows')
  test.ok(lag > 0.05, `${lag} s`)
  test.ok((after['nodejs_eventloop_lag_p99_seconds'] ?? NaN) >= 0)
  const { nodejs_eventloop_utilization_ratio: utilization = NaN, process_start_time_seconds: start = 0 } =
    after
  test.ok(utilization > 0 && utilization <= 1)
  for (const [name, least] of [
    ['process_resident_memory_bytes', 10_000_000],
    ['nodejs_heap_size_used_bytes', 1_000_000],
    ['nodejs_external_memory_bytes', 1000],
  ] as const)
    test.ok((after[name] ?? 0) > least, name)
  test.ok(Math.abs(start - Date.now() / 1000) < 3600)
  if (process.platform === 'linux') {
    test.ok((after['process_open_fds'] ?? 0) > 2)
    test.ok((after['process_max_fds'] ?? 0) >= (after['process_open_fds'] ?? Infinity))
  }
})

await t.test('the limit on open files, as Linux writes it', async (test) => {
  test.equal(
    softLimitIn('Max processes  1 2 processes\nMax open files            1024     4096   files\n'),
    1024,
  )
  test.equal(softLimitIn('Max open files            unlimited     unlimited   files\n'), Infinity)
  test.ok(Number.isNaN(softLimitIn('')))
})

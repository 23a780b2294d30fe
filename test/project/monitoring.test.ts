/**
 * The alerts and the dashboard name metrics, labels and values that the proxy has, and every alert has a test that fires it and one that does
 * not. What promtool says about them: test/e2e/alerts.e2e.ts.
 */
import { globSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadYaml, type V1ConfigMap } from '@kubernetes/client-node'
import { Registry, type Metric } from 'prom-client'
import t, { type Test } from 'tap'
import { createAuditMetrics } from '../../src/audit/audit-metrics.ts'
import { createCacheGauges, createCacheMetrics } from '../../src/telemetry/cache-metrics.ts'
import { createDigestMetrics, createWatchMetrics } from '../../src/telemetry/digest-metrics.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createProcessMetrics } from '../../src/telemetry/process-metrics.ts'
import { createConnectionMetrics, createStateMetrics } from '../../src/telemetry/state-metrics.ts'
import { createMirrorMetrics } from '../../src/telemetry/mirror-metrics.ts'
import { createS3Gauges, createS3Metrics } from '../../src/telemetry/s3-metrics.ts'
import { createSharedStateMetrics } from '../../src/telemetry/shared-state-metrics.ts'
import { MirrorMetrics } from '../../src/mirror/service/mirror-metrics.ts'
import { createUpstreamGauges, createUpstreamMetrics } from '../../src/telemetry/upstream-metrics.ts'

const component = join(import.meta.dirname, '../../manifests/components/monitoring')
const read = async <Kind>(file: string) => loadYaml<Kind>(await readFile(join(component, file), 'utf8'))

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
}

interface Alert extends Rule {
  readonly alert: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook_url: string }
}

interface PrometheusRule {
  readonly spec: { readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[] }
}

interface Dashboard {
  readonly panels: readonly {
    readonly id: number
    readonly title: string
    readonly type: string
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
  }[]
}

const specs = [
  await read<PrometheusRule>('prometheusrule.yaml'),
  await read<PrometheusRule>('../cache-alerts/prometheusrule.yaml'),
  await read<PrometheusRule>('../../mirror/prometheusrule.yaml'),
]
const rules = specs.flatMap(({ spec }) => spec.groups).flatMap((group) => group.rules)
const alerts = rules.filter((rule): rule is Alert => rule.alert !== undefined)
const dashboardOf = async (file: string, name: string): Promise<Dashboard> =>
  JSON.parse((await read<V1ConfigMap>(file)).data![name]!) as Dashboard
const dashboards = [
  await dashboardOf('dashboard.yaml', 'quay-proxy.json'),
  await dashboardOf('../../mirror/dashboard.yaml', 'ci-images-mirror.json'),
]
const targets = dashboards.flatMap(({ panels }) => panels).flatMap((panel) => panel.targets ?? [])

/** The labels of each metric that the code registers. */
const registered = async (): Promise<ReadonlyMap<string, ReadonlySet<string>>> => {
  const metrics = createMetrics(new Registry())
  const { registry } = metrics
  createAuditMetrics(registry)
  createUpstreamMetrics(registry)
  createUpstreamGauges(registry, () => ({ manifests: 0, bytes: 0, tags: 0 }))
  createCacheMetrics(registry)
  const nothing = { entries: 0, bytes: 0 }
  createCacheGauges(registry, () => ({ blobs: nothing, manifests: nothing, isStuck: false }))
  createMirrorMetrics(registry)
  createS3Metrics(registry)
  createS3Gauges(registry, () => ({ isOpen: false, uploads: 0 }))
  createWatchMetrics(metrics, () => ({ digests: 0, imageStreams: 0, notIndexed: 0, silentSeconds: 0 }))
  createDigestMetrics(metrics, () => ({ digests: 0, restrictedDigests: 0 }))
  createSharedStateMetrics(metrics, () => ({ state: 'unavailable', replicas: 1 }))
  createStateMetrics(
    registry,
    { version: '1', node: 'v26' },
    { isReady: () => true, robotTokenAgeMs: () => undefined, certificateExpiry: () => 0 },
  )
  createConnectionMetrics(registry, async () => 0)
  createProcessMetrics(registry).close()
  new MirrorMetrics(registry, {
    images: () => [],
    queued: () => 0,
    hasLease: () => false,
    isConfigCurrent: () => true,
    isListWhole: () => true,
    now: () => 0,
  }).passed(0, 0)
  // The histogram that is none of prom-client's has its labels only with its values.
  metrics.requestSeconds.observe({ route: 'none' }, 1)
  const labels = new Map<string, ReadonlySet<string>>()
  for (const { name, values } of await registry.getMetricsAsJSON()) {
    const { labelNames = [] } = registry.getSingleMetric(name) as Metric & { labelNames?: readonly string[] }
    labels.set(name, new Set([...labelNames, ...values.flatMap((value) => Object.keys(value.labels))]))
  }
  return labels
}

/** Of every target, by Prometheus: and `exported_namespace`, because each target has a `namespace` of its own. */
const ofTargets = new Set(['job', 'pod'])
const ofKubernetes = new Set(['namespace', 'deployment', 'container', 'pod'])
/** Of Prometheus and of kube-state-metrics. */
const foreign = new Map([
  ['up', ofTargets],
  ['kube_deployment_status_replicas_available', ofKubernetes],
  ['kube_deployment_spec_replicas', ofKubernetes],
  ['kube_pod_container_status_restarts_total', ofKubernetes],
])
const words = new Set(
  'sum max min count avg by on and or unless offset rate increase absent vector time avg_over_time histogram_quantile'.split(
    ' ',
  ),
)
const recorded = new Set(rules.flatMap(({ record }) => record ?? []))
const ours = await registered()

const labelsOf = (name: string): ReadonlySet<string> | undefined => {
  const own = ours.get(name) ?? ours.get(name.replace(/_(?:bucket|sum|count)$/, ''))
  return own === undefined ? foreign.get(name) : new Set([...own, 'pod', 'job'])
}
const plain = (label: string): string => label.replace(/^exported_/, '')

interface Named {
  readonly metrics: readonly string[]
  /** `by (...)` and `on (...)` of the whole expression. */
  readonly groupings: readonly string[]
  readonly matchers: readonly {
    readonly metric: string
    readonly label: string
    readonly values: readonly string[]
  }[]
}

const namesIn = (expr: string): Named => {
  const matchers = [...expr.matchAll(/([\w:]+)\{([^}]*)\}/g)].flatMap(([, metric = '', inner = '']) =>
    [...inner.matchAll(/(\w+)(?:=~|!~|!=|=)"([^"]*)"/g)].map(([, label = '', value = '']) => ({
      metric,
      label,
      values: value.split('|'),
    })),
  )
  const groupings = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, inner = '']) =>
    inner.split(/, ?/).filter((label) => label !== ''),
  )
  const bare = expr
    .replaceAll(/\b(?:by|on) \([^)]*\)/g, ' ')
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]|offset \w+|"[^"]*"/g, ' ')
  const metrics = [...bare.matchAll(/[a-z_][\w:]*/gi)]
    .map(([name]) => name)
    .filter((name) => !words.has(name))
  return { metrics, groupings, matchers }
}

const expressions = [
  ...rules.map(({ alert, record, expr }) => ({ where: alert ?? record ?? '', expr })),
  ...targets.map(({ expr }) => ({ where: 'the dashboard', expr })),
]

await t.test('every metric of a rule and of the dashboard exists', async (test) => {
  for (const { where, expr } of expressions) {
    const { metrics } = namesIn(expr)
    test.ok(metrics.length > 0, expr)
    for (const name of metrics)
      test.ok(recorded.has(name) || labelsOf(name) !== undefined, `${where}: ${name}`)
  }
})

await t.test('every label exists, and so does every value', async (test) => {
  const source = globSync('src/**/*.ts')
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')
  for (const { where, expr } of expressions) {
    const { metrics, groupings, matchers } = namesIn(expr)
    for (const { metric, label, values } of matchers) {
      test.ok(labelsOf(metric)?.has(plain(label)), `${where}: ${metric}{${label}}`)
      if (!ours.has(metric) || label === 'status' || label === 'job') continue
      for (const value of values.filter((one) => one !== '/metrics'))
        test.ok(source.includes(`'${value}'`), `${where}: ${label}="${value}"`)
    }
    for (const label of groupings.filter((one) => one !== 'le'))
      test.ok(
        metrics.some((metric) => labelsOf(metric)?.has(plain(label))),
        `${where}: by (${label})`,
      )
  }
})

await t.test('every label in a text is one of the result', async (test) => {
  for (const { alert, expr, annotations } of alerts) {
    const { metrics, groupings } = namesIn(expr)
    for (const [, label = ''] of annotations.summary.matchAll(/\$labels\.(\w+)/g))
      test.ok(
        groupings.length > 0
          ? groupings.includes(label)
          : metrics.some((metric) => labelsOf(metric)?.has(plain(label))),
        `${alert}: ${label}`,
      )
  }
  for (const { expr, legendFormat } of targets)
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
      test.ok(namesIn(expr).groupings.includes(label), `${legendFormat}: ${expr}`)
})

await t.test(
  'every alert pages or files a ticket, in a sentence, with its section of the runbook',
  async (test) => {
    const names = alerts.map(({ alert }) => alert)
    test.equal(new Set(names).size, names.length)
    for (const { alert, labels, annotations } of alerts) {
      test.match(alert, /^(?:QuayProxy|CiImagesMirror)[A-Z]\w+$/)
      test.ok(['page', 'ticket'].includes(labels.severity), alert)
      test.match(annotations.summary, /^[A-Za-z{].{40,160}\.$/, alert)
      test.match(annotations.runbook_url, new RegExp(`/docs/runbook\\.md#${alert.toLowerCase()}$`))
    }
  },
)

interface PromtoolTests {
  readonly tests: readonly {
    readonly name: string
    readonly promql_expr_test: readonly {
      readonly expr: string
      readonly exp_samples: readonly { value: number }[]
    }[]
  }[]
}

await t.test('every alert has a test that fires it, and one that does not', async (test) => {
  const seen = new Map<string, Set<'quiet' | 'firing'>>()
  for (const file of globSync('test/e2e/alerts/*.yaml'))
    for (const { name, promql_expr_test: checks } of loadYaml<PromtoolTests>(readFileSync(file, 'utf8'))
      .tests)
      for (const { expr, exp_samples: samples } of checks) {
        const [, alert = ''] = /^count\(ALERTS\{alertname="(\w+)",alertstate="firing"\}\)$/.exec(expr) ?? []
        test.ok(name.startsWith(alert), name)
        const states = seen.get(alert) ?? new Set()
        seen.set(alert, states.add(samples.length === 0 ? 'quiet' : 'firing'))
      }
  test.same(seen.keys().toArray().toSorted(), alerts.map(({ alert }) => alert).toSorted())
  for (const [alert, states] of seen) test.equal(states.size, 2, alert)
})

const checkPanels = (test: Test, dashboard: Dashboard): void => {
  const taken = new Set<string>()
  for (const { id, title, type, gridPos, targets: shown } of dashboard.panels) {
    test.ok(title.length > 3, `${id}`)
    test.ok(type === 'row' || shown!.length > 0, title)
    test.ok(gridPos.x + gridPos.w <= 24, title)
    const cells = Array.from({ length: gridPos.w * gridPos.h }, (_, index) =>
      [gridPos.x + (index % gridPos.w), gridPos.y + Math.floor(index / gridPos.w)].join(' '),
    )
    test.notOk(
      cells.some((cell) => taken.has(cell)),
      title,
    )
    for (const cell of cells) taken.add(cell)
  }
  test.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
}

await t.test('the panels of a dashboard do not overlap, and say what they show', async (test) => {
  for (const dashboard of dashboards) checkPanels(test, dashboard)
})

await t.test('the dashboard shows every metric', async (test) => {
  const shown = new Set(targets.flatMap(({ expr }) => namesIn(expr).metrics))
  for (const name of ours.keys()) test.ok(shown.has(name) || shown.has(`${name}_bucket`), name)
})

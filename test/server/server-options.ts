/** Options of a server around the fakes of the registry, written flat: each test replaces what it is about. */
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { createGrantAdvice } from '../../src/explain/grant-advice.ts'
import { createLoginAdvice } from '../../src/registry/authentication/login-advice.ts'
import type { HealthOptions } from '../../src/server/health.ts'
import {
  buildServer,
  type AccessOptions,
  type ConnectionOptions,
  type ExplanationOptions,
  type LoginOptions,
  type ServerOptions,
  type SourceOptions,
  type TelemetryOptions,
} from '../../src/server/server.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { listen, routesOptions } from '../registry/fakes.ts'

export interface FlatOptions
  extends
    LoginOptions,
    AccessOptions,
    SourceOptions,
    TelemetryOptions,
    HealthOptions,
    ConnectionOptions,
    ExplanationOptions,
    Pick<ServerOptions, 'limits' | 'refusalPace' | 'helpUrl' | 'plugins' | 'mirror'> {}

/** And the lines that the server logs. */
export const serverOptions = (more: Partial<FlatOptions> = {}) => {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger('debug', { write: (line) => void lines.push(JSON.parse(line) as never) })
  const flat: FlatOptions = {
    ...routesOptions(),
    logger,
    metrics: createMetrics(new Registry()),
    notReady: () => [],
    status: () => [],
    observeShed: () => undefined,
    trustedProxies: [],
    proxyProtocol: false,
    tls: undefined,
    exposed: new URL('https://proxy.example'),
    loginAdvice: createLoginAdvice({ host: 'proxy.example' }),
    grantAdvice: createGrantAdvice('oc-policy', 'ocp'),
    isRestricted: (namespace) => namespace.endsWith('-priv'),
    qciNamespace: 'ocp',
    isAudit: false,
    robotsOnly: false,
    parts: () => [{ name: 'upstream', state: 'works' }],
    ...more,
  }
  const { limits, refusalPace, helpUrl, plugins, mirror } = flat
  const options: ServerOptions = {
    connections: flat,
    login: flat,
    access: flat,
    source: flat,
    telemetry: flat,
    health: flat,
    explanation: flat,
    ...(limits === undefined ? {} : { limits }),
    ...(refusalPace === undefined ? {} : { refusalPace }),
    helpUrl,
    mirror,
    ...(plugins === undefined ? {} : { plugins }),
  }
  return { options, lines }
}

/** A server on a free port for as long as the test runs. */
export const serve = async (test: Test, more: Partial<FlatOptions> = {}) => {
  const { options, lines } = serverOptions(more)
  const app = await buildServer(options)
  const port = await listen(test, app)
  const get = async (path: string, init: Parameters<typeof fetch>[1] = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    return { status: response.status, headers: response.headers, body: await response.text() }
  }
  return { app, port, options, lines, get }
}

/** The codes of an answer with errors. */
export const codeOf = (body: string): string => {
  const { errors } = JSON.parse(body) as { errors: { code: string; message: string }[] }
  return errors.map(({ code }) => code).join()
}

/** Head and body of one answer as it went over the wire. */
export const cut = (answer: string) => {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { head: head.toLowerCase(), body }
}

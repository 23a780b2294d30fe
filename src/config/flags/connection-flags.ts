/**
 * Flags of `serve`: what it believes about the connections of clients, and what it reports.
 */
import { logLevels } from '../../telemetry/logging.ts'
import { address, directory, file, flag, givenOrNot, listOf, oneOf, trueOrFalse } from '../flag-kinds.ts'
import { parseNetwork } from '../value-parsers.ts'

export const connectionFlags = {
  trustedProxies: flag(
    'trusted-proxies',
    '',
    'addresses and networks whose X-Forwarded-For is used, in logs and for limits',
    listOf('IP addresses or networks from /1 on, such as 10.128.0.0/14', parseNetwork),
  ),
  proxyProtocol: flag(
    'proxy-protocol',
    'false',
    'whether connections of --trusted-proxies begin with a header of the PROXY protocol',
    trueOrFalse,
  ),
  metricsListen: flag(
    'metrics-addr',
    undefined,
    'address of /metrics and the probes (/livez, /healthz, /readyz); without it: no metrics',
    address,
  ),
  logLevel: flag('log-level', 'info', 'lowest level that is logged', oneOf(...logLevels)),
  logLevelFile: flag(
    'log-level-file',
    undefined,
    'file with the log level, instead of --log-level; read again when it changes',
    file,
  ),
  heapSnapshotDir: flag(
    'heap-snapshot-dir',
    undefined,
    'directory for the heap snapshot that SIGUSR2 writes; it holds every secret',
    directory,
  ),
  printConfig: flag(
    'print-config',
    'false',
    'print each setting and where it comes from, and exit; exit code 2 if one is wrong',
    givenOrNot,
  ),
} as const

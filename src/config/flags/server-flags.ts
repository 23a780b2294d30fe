/**
 * Flags of `serve`: where it listens, and the secrets and certificates that it reads from files.
 */
import { address, duration, file, flag, trueOrFalse } from '../flag-kinds.ts'
import { parseDuration, parseHost, parseOrigin, parseWebUrl } from '../value-parsers.ts'

/** Clients treat a shorter validity as a minute, and would use the login after its end. */
const shortestValidityMs = 60_000

export const serverFlags = {
  listen: flag('listen-addr', '127.0.0.1:8400', 'address to serve on', address),
  exposedHost: flag(
    'exposed-host',
    'quay-proxy.ci.openshift.org',
    'host that clients use; the realm is https://HOST/v2/auth',
    { expected: 'a host, such as quay-proxy.ci.openshift.org', parse: parseHost },
  ),
  exposedUrl: flag(
    'exposed-url',
    undefined,
    'origin that clients use, instead of --exposed-host, if it is not https',
    { expected: 'an origin, such as http://127.0.0.1:8400', parse: parseOrigin },
  ),
  clusterUrl: flag(
    'cluster-url',
    undefined,
    'API server of app.ci as people log in to it; messages about logins name it',
    { expected: 'an origin, such as https://api.ci.example:6443', parse: parseOrigin },
  ),
  helpUrl: flag(
    'help-url',
    undefined,
    'page or chat where people get help; messages about refusals and failures name it',
    { expected: 'a URL that begins with https:// or http://', parse: parseWebUrl },
  ),
  mirrorUrl: flag(
    'mirror-url',
    undefined,
    'API of ci-images-mirror; /mirrors shows it to users with the right in RBAC',
    { expected: 'an origin, such as http://ci-images-mirror.ci:8090', parse: parseOrigin },
  ),
  gracePeriodMs: flag(
    'grace-period',
    '10s',
    'how long running pulls may take to end after SIGTERM',
    duration,
  ),
  robotUsernameFile: flag(
    'robot-username-file',
    undefined,
    "file with the upstream robot's user name; several robots: one on each line",
    file,
  ),
  robotPasswordFile: flag(
    'robot-password-file',
    undefined,
    "file with the upstream robot's password; several: in the same order",
    file,
  ),
  robotDockerconfigFile: flag(
    'robot-dockerconfig-file',
    undefined,
    'dockerconfigjson with the robot, instead of the two files',
    file,
  ),
  tokenSecretFile: flag(
    'token-secret-file',
    undefined,
    'file with the secrets of robot logins: line 1 signs; later lines only verify',
    file,
  ),
  requireStrongSecrets: flag(
    'require-strong-secrets',
    'false',
    'whether a token secret that could be guessed is refused',
    trueOrFalse,
  ),
  tokenValidityMs: flag('token-validity', '6h', 'how long a robot login is valid', {
    expected: 'a duration of a minute or more, such as 6h',
    parse: (text) => {
      const durationMs = parseDuration(text)
      return durationMs === undefined || durationMs < shortestValidityMs ? undefined : durationMs
    },
  }),
  tlsCertFile: flag(
    'tls-cert-file',
    undefined,
    'PEM certificate chain to serve with; reloaded when it changes',
    file,
  ),
  tlsKeyFile: flag('tls-key-file', undefined, 'PEM private key of that certificate', file),
} as const

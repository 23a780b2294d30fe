/**
 * The rule of Kubernetes for the names of namespaces. @see https://www.rfc-editor.org/rfc/rfc1123#section-2.1
 */
export const dnsLabelPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

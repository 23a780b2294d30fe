/** Medians, percentiles and slopes. */

/** @throws {Error} if there are no values */
export const percentile = (values: readonly number[], percent: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  // Nearest rank.
  const value = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
  if (value === undefined) throw new Error('nothing was measured')
  return value
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return (percentile(sorted, 50) + sorted[Math.floor(sorted.length / 2)]!) / 2
}

/** The rise of the least-squares line of evenly spaced samples, from the first to the last. */
export const rise = (values: readonly number[]): number => {
  const middle = (values.length - 1) / 2
  const mean = values.reduce((total, value) => total + value, 0) / values.length
  const covariance = values.reduce((total, value, index) => total + (index - middle) * (value - mean), 0)
  const variance = values.reduce((total, _value, index) => total + (index - middle) ** 2, 0)
  return variance === 0 ? 0 : (covariance / variance) * (values.length - 1)
}

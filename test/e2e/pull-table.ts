/** The results of pulls, counted by phase, identity and client. */
export type Row = {
  /** Allowed pulls: all of them, the successful ones, and attempts that got 503. */
  pulls: number
  ok: number
  retried: number
  /** Forbidden pulls: all of them, and those that got 503 instead of a refusal. */
  forbidden: number
  later: number
  /** Of both kinds. */
  wrong: number
}

export class Table {
  readonly rows: Record<string, Row> = {}
  readonly wrong: string[] = []

  row(...keys: readonly string[]): Row {
    return (this.rows[keys.join(' | ')] ??= { pulls: 0, ok: 0, retried: 0, forbidden: 0, later: 0, wrong: 0 })
  }

  lines(): string[] {
    const line = (...cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
    return [
      line('phase', 'identity', 'client', 'pulls', 'ok', 'retried/503', 'forbidden', 'of these 503', 'wrong'),
      line('---', '---', '---', ...Array.from({ length: 6 }, () => '--:')),
      ...Object.entries(this.rows).map(([key, row]) => line(key, ...Object.values(row))),
      line('all', '', '', ...Object.values(this.#total())),
    ]
  }

  #total(): Row {
    const total = this.row('')
    delete this.rows['']
    for (const row of Object.values(this.rows))
      for (const column of Object.keys(row) as (keyof Row)[]) total[column] += row[column]
    return total
  }
}

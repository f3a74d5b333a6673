import type { AnyTable, Row, WideColumnStore } from '../../ports/wide-column.ts'
import type { StepContext } from './job.ts'

/**
 * Meets every row of a table, some at a time, and goes on after an interruption at the page it was
 * in: rows of one page may be met twice. Rows that are written meanwhile may be met or not, so a
 * release that needs every row in a new form writes that form itself before the job begins.
 */
export async function forEachRow<T extends AnyTable>(
  db: WideColumnStore,
  table: T,
  context: StepContext,
  work: (rows: readonly Row<T>[]) => Promise<void>,
  options: { rowsAtOnce?: number } = {},
): Promise<void> {
  let page = context.cursor
  let { done } = context.progress
  for (;;) {
    const { rows, next } = await context.patiently(() =>
      db.scan(table, { limit: options.rowsAtOnce ?? 500, page }),
    )
    if (rows.length > 0) await context.patiently(() => work(rows))
    done += rows.length
    if (next === undefined) return
    await context.save(next, { done })
    page = next
  }
}

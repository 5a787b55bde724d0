// Goes over rows of which there may be millions.
import type { Rows } from '../../core/plugin/interfaces.ts'
import type { Json } from '../../core/plugin/json.ts'

/** How many rows are held at once. */
const PAGE = 1_000

export type RowPage = readonly (readonly [key: string, value: Json | Uint8Array])[]

/** Every row whose key begins so, in the order of the keys, some at a time; those of a page may be deleted before the next is asked for. */
export async function* rowPages(rows: Pick<Rows, 'list'>, prefix: string): AsyncGenerator<RowPage> {
  for (let after: string | undefined; ; ) {
    const page = await rows.list(prefix, { limit: PAGE, ...(after !== undefined && { after }) })
    if (page.length > 0) yield page
    if (page.length < PAGE) return
    after = page.at(-1)?.[0]
  }
}

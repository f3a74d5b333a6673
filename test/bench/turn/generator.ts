/** The load in a process of its own, told by its parent what to do, one thing after the other. */
import { openLoad, type Load, type LoadSettings, type RunSettings } from './load.ts'

export type Order =
  | { readonly act: 'open'; readonly load: string; readonly settings: LoadSettings }
  | { readonly act: 'allocate' | 'bind' | 'release' | 'close'; readonly load: string }
  | { readonly act: 'run'; readonly load: string; readonly settings: RunSettings }

export type Reply = { readonly result: unknown } | { readonly error: string }

const loads = new Map<string, Load>()

async function obey(order: Order): Promise<unknown> {
  if (order.act === 'open') {
    loads.set(order.load, openLoad(order.settings))
    return undefined
  }
  const load = loads.get(order.load)
  if (load === undefined) throw new Error(`there is no load ${order.load}`)
  if (order.act === 'run') return load.run(order.settings)
  if (order.act === 'close') {
    load[Symbol.dispose]()
    loads.delete(order.load)
    return undefined
  }
  return load[order.act]()
}

process.on('message', (order: Order) => {
  obey(order).then(
    (result) => process.send?.({ result } satisfies Reply),
    (error: unknown) => process.send?.({ error: String(error) } satisfies Reply),
  )
})

/** Who is where, and locks: leases, not configuration. When it is down, the last view holds. */

export interface Instance {
  service: string
  /** Unique per process start. */
  id: string
  /** Base URL of the internal listener. */
  address: string
  isDraining: boolean
}

export interface Lock extends AsyncDisposable {
  /** Rises with every holder; stores refuse writes that carry a lower one. */
  readonly fencingToken: bigint
  /** Aborted when the lock may have been lost. */
  readonly signal: AbortSignal
}

export interface Registry extends AsyncDisposable {
  /** Announces this process until the handle is disposed or the lease runs out. */
  register(instance: Instance): Promise<AsyncDisposable & { setDraining(): Promise<void> }>
  instances(service: string): readonly Instance[]
  /** Calls back with every new view until `signal` aborts. */
  watch(service: string, changed: (view: readonly Instance[]) => void, signal: AbortSignal): void
  /** Waits for the lock until `signal` aborts. */
  lock(name: string, signal: AbortSignal): Promise<Lock>
}

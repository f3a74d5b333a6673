import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Counters of one service instance; many may live in one process. */
export interface Metrics {
  readonly registry: Registry
  /** Seconds a request took, by endpoint and status. */
  observeRequest(endpoint: string, status: number, seconds: number): void
  counter(name: string, help: string, labels?: readonly string[]): Counter
  gauge(name: string, help: string, read: () => number): Gauge
  /** A gauge with a value for each of several things, read when somebody asks. */
  labelledGauge(
    name: string,
    help: string,
    label: string,
    read: () => readonly (readonly [string, number])[],
  ): Gauge
}

export function createMetrics(service: string): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  const requests = new Histogram({
    name: 'tricord_request_seconds',
    help: 'Time from the last byte of the head to the reply, by endpoint and status',
    labelNames: ['endpoint', 'status'],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
    registers: [registry],
  })
  // prom-client hashes labels on every call; the pairs are few, so their children are kept.
  const children = new Map<string, Histogram.Internal<'endpoint' | 'status'>>()
  return {
    registry,
    observeRequest(endpoint, status, seconds) {
      const key = `${endpoint} ${String(status)}`
      let child = children.get(key)
      if (child === undefined) {
        child = requests.labels(endpoint, String(status))
        children.set(key, child)
      }
      child.observe(seconds)
    },
    counter: (name, help, labelNames = []) =>
      new Counter({ name, help, labelNames, registers: [registry] }),
    gauge: (name, help, read) =>
      new Gauge({
        name,
        help,
        registers: [registry],
        collect() {
          this.set(read())
        },
      }),
    labelledGauge: (name, help, label, read) =>
      new Gauge({
        name,
        help,
        labelNames: [label],
        registers: [registry],
        collect() {
          this.reset()
          for (const [thing, value] of read()) this.set({ [label]: thing }, value)
        },
      }),
  }
}

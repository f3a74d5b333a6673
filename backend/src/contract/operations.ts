import { z } from 'zod'
import { bytesResponse, endpoint, since } from './endpoint.ts'

/** What every process answers to its operator. */
export const operationsApi = {
  getStatus: endpoint({
    method: 'GET',
    path: '/i/status',
    versions: since(0),
    auth: 'internal',
    summary: 'Ready (200), or which dependency is missing (503)',
    responses: {
      200: z.object({
        status: z.literal('ready'),
        /** Engines that do not answer while this process serves without them; absent for none. */
        degraded: z.array(z.string()).optional(),
      }),
      503: z.object({
        status: z.enum(['starting', 'waiting', 'draining']),
        /** `<service>: <dependency>`, or `<engine> (<port>): <reason>` */
        missing: z.array(z.string()),
        degraded: z.array(z.string()).optional(),
      }),
    },
    errors: [],
  }),
  getMetrics: endpoint({
    method: 'GET',
    path: '/i/metrics',
    versions: since(0),
    auth: 'internal',
    summary: 'Counters in the Prometheus text format',
    responses: { 200: bytesResponse('text/plain; version=0.0.4; charset=utf-8') },
    errors: [],
  }),
}

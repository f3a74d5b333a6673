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
      200: z.object({ status: z.literal('ready') }),
      503: z.object({
        status: z.enum(['waiting', 'draining']),
        /** `<service>: <dependency>` */
        missing: z.array(z.string()),
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

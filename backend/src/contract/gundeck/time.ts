import { z } from 'zod'
import { endpoint, since } from '../endpoint.ts'
import { Timestamp } from '../ids.ts'

export const timeApi = {
  getServerTime: endpoint({
    method: 'GET',
    path: '/time',
    versions: since(9),
    auth: 'user',
    summary: "The server's time",
    responses: { 200: z.object({ time: Timestamp }) },
    errors: [],
  }),
}

/** Who may log in where. */
import type { TlsFiles } from './engine.ts'
import type { Plan } from './plan.ts'

export interface Credentials {
  credentials: Record<string, string>
  tls: TlsFiles | undefined
}

/** What everybody knows, for engines that listen on loopback and hold nothing of worth. */
const known = { 'minio-access-key': 'tricord', 'minio-secret-key': 'tricord-on-loopback' }

export async function readCredentials(_directory: string, plan: Plan): Promise<Credentials> {
  if (plan.isSecure) throw new Error('secure engines are not there yet')
  return { credentials: { ...known }, tls: undefined }
}

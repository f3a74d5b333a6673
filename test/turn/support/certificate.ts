import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { isIP } from 'node:net'
import { promisify } from 'node:util'

export interface Certificate {
  readonly certificateFile: string
  readonly keyFile: string
}

/** A certificate for `host` that signs itself, with openssl. */
export async function makeCertificate(folder: string, host: string): Promise<Certificate> {
  const certificateFile = join(folder, 'certificate.pem')
  const keyFile = join(folder, 'key.pem')
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
  const shape = `req -x509 ${key} -days 30 -subj /CN=turn.test`
  const name = `subjectAltName=${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`
  const files = ['-keyout', keyFile, '-out', certificateFile]
  await promisify(execFile)('openssl', [...shape.split(' '), ...files, '-addext', name])
  return { certificateFile, keyFile }
}

import { readFile } from 'node:fs/promises'

/** Files with what a TLS connection needs, as the configuration names them. */
export interface TlsFiles {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

export interface TlsMaterial {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/** A secret from its file, without the line end that editors leave. */
export async function readSecret(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim()
}

export async function readOptionalSecret(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : readSecret(path)
}

/** Undefined when the connection is to be in clear. */
export async function readTls(files: TlsFiles | undefined): Promise<TlsMaterial | undefined> {
  if (files === undefined) return undefined
  const [ca, cert, key] = await Promise.all(
    [files.ca, files.cert, files.key].map(async (path) =>
      path === undefined ? undefined : readFile(path),
    ),
  )
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
}

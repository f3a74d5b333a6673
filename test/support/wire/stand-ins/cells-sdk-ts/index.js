// Stands in for a package that Wire's api-client imports and no registry carries. Nothing of it is
// called by the scenarios; the classes exist so that the import succeeds.
'use strict'
module.exports = {}

import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { z } from 'zod'
import { TeamId, UserId } from '../../contract/ids.ts'
import { fold, maxWords, wordsOf } from '../../platform/folded-words.ts'
import type { UserDocument, UserHits, UserQuery, UserSearch } from '../../ports/search.ts'

const StoredDocument = z.object({
  user: UserId,
  name: z.string(),
  handle: z.string().optional(),
  accentId: z.number(),
  team: TeamId.optional(),
  type: z.enum(['regular', 'app', 'bot']),
  isSearchable: z.boolean(),
  isActive: z.boolean(),
  isInboundOpen: z.boolean(),
  versionMs: z.number(),
})

/** An index of another version is dropped, to be filled again by reindexing. */
const schemaVersion = 1
/**
 * Hits that are ranked and counted; beyond, `found` stays there. It bounds how long a single letter
 * holds up the event loop: about 15 ms, however many users there are.
 */
const maxFound = 3_000
/**
 * User search with SQLite's FTS5. Derived data: a power cut may take back the last changes, but
 * leaves an index; reindexing rebuilds it. Names are folded by Unicode (marks off, lower case,
 * compatibility forms) and some Latin letters; unlike the real engine it does not transliterate
 * other scripts into Latin.
 */
export async function openSqliteSearch(options: { file: string }): Promise<UserSearch> {
  const db = new DatabaseSync(options.file, { timeout: 5000 })
  db.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
  `)
  if (db.prepare('PRAGMA user_version').get()?.['user_version'] !== schemaVersion) {
    db.exec(`
      DROP TABLE IF EXISTS users;
      DROP TABLE IF EXISTS words;
      PRAGMA user_version = ${schemaVersion};
    `)
  }
  db.exec(`
    CREATE TABLE IF NOT EXISTS users (
      id INTEGER PRIMARY KEY,
      user TEXT NOT NULL UNIQUE,
      team TEXT,
      type TEXT NOT NULL,
      has_handle INTEGER NOT NULL,
      is_found INTEGER NOT NULL,
      is_inbound_open INTEGER NOT NULL,
      version_ms INTEGER NOT NULL,
      document TEXT NOT NULL
    );
    CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
      handle, name, content = '', contentless_delete = 1, prefix = '1 2 3',
      tokenize = "unicode61 remove_diacritics 2 tokenchars '_-.'"
    );
  `)
  const statements = {
    first: db.prepare('SELECT 1 FROM users LIMIT 1'),
    find: db.prepare('SELECT id, version_ms AS versionMs FROM users WHERE user = ?'),
    insert: db.prepare(
      `INSERT INTO users
       (user, team, type, has_handle, is_found, is_inbound_open, version_ms, document)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    insertWords: db.prepare('INSERT INTO words (rowid, handle, name) VALUES (?, ?, ?)'),
    remove: db.prepare('DELETE FROM users WHERE id = ?'),
    removeWords: db.prepare('DELETE FROM words WHERE rowid = ?'),
    search: db.prepare(
      `SELECT document FROM (${hitsSql}) AS hits JOIN users ON users.id = hits.id
       ORDER BY rank, hits.id LIMIT :limit OFFSET :offset`,
    ),
    count: db.prepare(`SELECT count(*) AS found FROM (${hitsSql})`),
  }

  const forget = (user: string): void => {
    const row = statements.find.get(user)
    if (row === undefined) return
    statements.remove.run(row['id'] ?? null)
    statements.removeWords.run(row['id'] ?? null)
  }

  return {
    async isEmpty() {
      return statements.first.get() === undefined
    },
    async index(documents) {
      inTransaction(db, () => {
        for (const document of documents) replace(statements, forget, document)
      })
    },
    async remove(users) {
      inTransaction(db, () => users.forEach(forget))
    },
    async find(query) {
      return find(statements, query)
    },
    async [Symbol.asyncDispose]() {
      db.close()
    },
  }
}

/** Handle matches count twice; a hit in another team counts a tenth; no handle ranks lower. */
const hitsSql = `
  SELECT users.id, bm25(words, 2.0, 1.0)
    * CASE WHEN users.team IS NOT NULL AND users.team IS NOT :team THEN 0.1 ELSE 1.0 END
    * CASE WHEN users.has_handle = 1 THEN 1.0 ELSE 0.5 END AS rank
  FROM words JOIN users ON users.id = words.rowid
  WHERE words MATCH :words
    AND users.is_found = 1
    AND users.user <> :searcher
    AND (:type IS NULL OR users.type = :type)
    AND (users.team IS :team
      OR (:isOpen = 1 AND (users.team IS NULL OR users.is_inbound_open = 1)))
  LIMIT ${maxFound}`

type Statements = Readonly<
  Record<'find' | 'insert' | 'insertWords' | 'search' | 'count', StatementSync>
>

function replace(
  statements: Statements,
  forget: (user: string) => void,
  document: UserDocument,
): void {
  const row = statements.find.get(document.user)
  if (row !== undefined && Number(row['versionMs']) > document.versionMs) return
  forget(document.user)
  const { lastInsertRowid } = statements.insert.run(
    document.user,
    document.team ?? null,
    document.type,
    Number(document.handle !== undefined),
    Number(document.isSearchable && document.isActive),
    Number(document.isInboundOpen),
    document.versionMs,
    JSON.stringify(document),
  )
  statements.insertWords.run(lastInsertRowid, document.handle ?? '', fold(document.name))
}

function find(statements: Statements, query: UserQuery): UserHits {
  const startedMs = performance.now()
  const words = matchExpression(query.text)
  const offset = offsetOf(query.page)
  if (words === undefined) return { documents: [], found: 0, tookMs: 0 }
  const parameters = {
    words,
    searcher: query.searcher,
    team: query.space.team ?? null,
    isOpen: Number(query.space.kind === 'open'),
    type: query.type ?? null,
  }
  const rows = statements.search.all({ ...parameters, limit: query.size + 1, offset })
  const documents = rows
    .slice(0, query.size)
    .map((row) => StoredDocument.parse(JSON.parse(String(row['document']))) as UserDocument)
  const hasMore = rows.length > query.size
  const found =
    offset === 0 && !hasMore
      ? documents.length
      : Number(statements.count.get(parameters)?.['found'])
  return {
    documents,
    found,
    tookMs: Math.round(performance.now() - startedMs),
    ...(hasMore ? { next: Buffer.from(String(offset + query.size)).toString('base64url') } : {}),
  }
}

/** Every word must begin a word of the handle or the name. */
function matchExpression(text: string): string | undefined {
  const words = wordsOf(text).slice(0, maxWords)
  return words.length === 0 ? undefined : words.map((word) => `"${word}"*`).join(' AND ')
}

function offsetOf(page: string | undefined): number {
  if (page === undefined) return 0
  const offset = Number(Buffer.from(page, 'base64url').toString())
  return Number.isSafeInteger(offset) && offset >= 0 && offset < maxFound ? offset : 0
}

function inTransaction(db: DatabaseSync, work: () => void): void {
  db.exec('BEGIN')
  try {
    work()
    db.exec('COMMIT')
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

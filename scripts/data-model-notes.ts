/** What the declarations of tables do not say: for whom a table is, and how large partitions get. */
export interface TableNote {
  /** The queries, each by its partition. */
  readonly serves: string
  /** A usual partition, in rows and bytes as they are stored before compression. */
  readonly usual: string
  /** What keeps it from growing, and the largest that follows. */
  readonly bound: string
}

const oneRow = 'one row'

export const notes: Readonly<Record<string, TableNote>> = {
  brig_users: {
    serves: 'a user by id, for every request about people',
    usual: '0.6 KB',
    bound: `${oneRow}; asset and picture lists are limited by the request, 64 KB at most`,
  },
  brig_handles: {
    serves: 'who has, or is taking, a handle',
    usual: '70 B',
    bound: oneRow,
  },
  brig_emails: {
    serves: 'who has, or is taking, an e-mail address; log-in',
    usual: '90 B',
    bound: oneRow,
  },
  brig_passwords: { serves: "a user's password hash, at log-in", usual: '0.2 KB', bound: oneRow },
  brig_login_failures: {
    serves: 'failed log-ins of a user in the current stretch',
    usual: 'none, or 60 B',
    bound: `${oneRow}, for a stretch`,
  },
  brig_codes: {
    serves: 'a mailed code by its purpose and key',
    usual: '0.2 KB',
    bound: `${oneRow}, 14 days at most`,
  },
  brig_cookies: {
    serves: "a user's sessions: one when an access token is renewed, all at log-in",
    usual: '3 rows, 0.5 KB',
    bound:
      '`brig.sessions.maxCookies` of each of two kinds (64), and predecessors of 14 days; a log-in removes what has ended: about 130 rows, 20 KB',
  },
  brig_clients: {
    serves: "a user's devices; the row `roster` makes changes of the list follow one another",
    usual: '4 rows, 2 KB',
    bound: '`brig.maxPermanentClients` + 2 rows; 10 KB',
  },
  brig_client_activity: {
    serves: "when a user's devices were last active",
    usual: '3 rows, 0.2 KB',
    bound: 'as `brig_clients`',
  },
  brig_client_nonces: {
    serves: 'the nonce a device was last given',
    usual: 'none',
    bound: 'as `brig_clients`, for 5 minutes',
  },
  brig_prekeys: {
    serves: "a device's prekeys: one that nobody else gets, for each new session with it",
    usual: '100 rows, 12 KB',
    bound:
      'ids have 16 bits: 65 536 rows, 8 MB. A claim reads from the lowest id over what was claimed in the last 10 days: one tombstone each',
  },
  brig_properties: {
    serves: "a user's settings, one or all",
    usual: '2 rows, 1 KB',
    bound: '16 rows, each with its value as large as the request allows',
  },
  brig_connections: { serves: 'the connection of two users', usual: '0.2 KB', bound: oneRow },
  brig_connection_lists: {
    serves: 'with whom a user has connections, in pages',
    usual: '50 rows, 3 KB',
    bound:
      "`brig.maxConnections` (1000) that are the user's own doing; requests of others one per user of the backend: 6 MB with 100 000 users",
  },
  brig_deletions: {
    serves: 'all of it, by scan: whom to delete, and when',
    usual: '40 B; guests only',
    bound: `${oneRow}; the table has one row for each guest that lives`,
  },
  galley_conversations: {
    serves: 'a conversation, for every send',
    usual: '0.3 KB',
    bound: oneRow,
  },
  galley_members: {
    serves: "a conversation's members, for every send",
    usual: '2 to 50 rows, 5 KB',
    bound: '`galley.maxConversationSize` (500); 40 KB',
  },
  galley_user_conversations: {
    serves: "a user's conversations, in pages by id, when a device signs in",
    usual: '100 rows, 6 KB',
    bound:
      'no rule limits it: 60 B for each conversation the user is in now. At the rate limit of 30 requests a second a user needs nine hours for the million that make 60 MB, and pages stay as fast as they were',
  },
  galley_member_preferences: {
    serves: 'muted, archived and hidden, of one conversation for one user',
    usual: '10 rows, 1 KB',
    bound: 'as `galley_user_conversations`; read by whole key only',
  },
  galley_codes: {
    serves: 'a guest link by its key',
    usual: '0.2 KB',
    bound: `${oneRow} for each conversation, \`galley.guestLinks.ttlSeconds\``,
  },
  galley_last_changes: {
    serves:
      'the last change of a conversation, for the next one: its number, and until it is seen through all of it',
    usual: '0.1 KB',
    bound: `${oneRow}, 1 to 60 KB while a change is under way`,
  },
  galley_unfinished_changes: {
    serves: 'where changes may not be seen through; all of them by scan, every 10 s',
    usual: 'none',
    bound: 'changes of one conversation follow one another: a row for each process that tries',
  },
  galley_clients: {
    serves: "a user's devices, for every send",
    usual: '3 rows, 0.2 KB',
    bound: 'as `brig_clients`',
  },
  galley_removal_keys: {
    serves: 'the key of a signature scheme, at start',
    usual: '0.2 KB',
    bound: oneRow,
  },
  gundeck_ring: {
    serves: 'all of it: who owns which inboxes; a few times a second and instance',
    usual: '66 rows, 10 KB',
    bound:
      "one partition in all, on purpose: 64 shards and one row per gundeck name. Every change of it is one conditional write, and the store's own record of those has one row for it",
  },
  gundeck_notifications: {
    serves: 'notifications of one inbox from a position on, in pages of 32 rows',
    usual: '100 rows, 100 KB',
    bound:
      'a bucket is cut at 10 MB, at one day, and when the inbox changes its owner; one batch of 1 MB or one larger row may lie over it: 11 MB',
  },
  gundeck_buckets: {
    serves: "an inbox's buckets, in front of every page",
    usual: '10 rows, 0.6 KB',
    bound:
      '30 days of: one a day, one per 10 MB, one per change of owner. 1 GB a day for 30 days makes 3 000 rows, 180 KB',
  },
  gundeck_payloads: {
    serves: 'a payload that goes to many inboxes, by id',
    usual: '10 KB',
    bound: `${oneRow}, as large as a message may be (about 5 MB), 29 days`,
  },
  gundeck_cursors: {
    serves: "up to where a user's devices have acknowledged, at every acknowledgement",
    usual: '3 rows, 0.5 KB',
    bound: 'as `brig_clients`, each with at most 1 000 ids beyond its cursor (37 KB)',
  },
  gundeck_id_keys: {
    serves: 'the keys of the hash in ids, at start',
    usual: '60 B',
    bound: 'one row for each key of the last 28 days',
  },
  gundeck_push_tokens: {
    serves: "a user's push tokens, for native push",
    usual: '2 rows, 0.5 KB',
    bound: 'one for each device, transport and app',
  },
  jobs_journal: {
    serves: 'the steps of a job, when it runs',
    usual: '5 rows, 1 KB',
    bound: 'one row for each step that was ever released',
  },
  jobs_schema_users: {
    serves: 'which processes use the schema, before something is taken away',
    usual: '18 rows, 2 KB',
    bound: 'one row for each process, for 90 seconds after its last word',
  },
}

-- Version 1. One text for both databases: BIGINT and BLOB are put into their words, and where a table ends in
-- CLUSTERED or PLAIN, SQLite keeps it by its key, or by the order of arrival.
-- Numbers that are unsigned in the program are stored as the same 64 bits, signed.

-- Numbers that are given out once: incarnation, lease, record, revision, alert, audit, entry.
create table counter (name TEXT not null, value BIGINT not null, primary key (name)) CLUSTERED;

-- Who may write: whoever raised the epoch last. The position grows by one with each commit, so that a commit whose
-- answer was lost can be looked up.
create table writer (id BIGINT not null, epoch BIGINT not null, position BIGINT not null, primary key (id)) CLUSTERED;
insert into writer (id, epoch, position) values (1, 0, 0);

-- Money. Nothing is ever deleted from these.
create table holder (
  incarnation BIGINT not null, joined_at BIGINT not null, heard_at BIGINT not null, standing BIGINT not null,
  primary key (incarnation)) CLUSTERED;
create table stream (
  incarnation BIGINT not null, stream BIGINT not null, answered BIGINT not null, hash BLOB not null,
  reply TEXT not null, last_record BIGINT not null,
  primary key (incarnation, stream)) CLUSTERED;
create table lease (
  id BIGINT not null, incarnation BIGINT not null, scope BIGINT not null, accounts TEXT not null,
  granted BIGINT not null, settled BIGINT not null, returned BIGINT not null, overrun BIGINT not null,
  standing BIGINT not null, is_live BIGINT not null,
  primary key (id)) CLUSTERED;
create index lease_live on lease (incarnation, id) where is_live = 1;
create index lease_presumed on lease (id) where standing = 1;
create table current_lease (
  incarnation BIGINT not null, scope BIGINT not null, lease BIGINT not null,
  primary key (incarnation, scope)) CLUSTERED;
create table account (
  budget BIGINT not null, window_id BIGINT not null, held BIGINT not null, posted BIGINT not null,
  carried BIGINT not null, overrun BIGINT not null, announced BIGINT not null,
  primary key (budget, window_id)) CLUSTERED;
create table opening (
  incarnation BIGINT not null, stream BIGINT not null, number BIGINT not null, trace BLOB not null,
  reserved BIGINT not null,
  primary key (incarnation, stream, number)) CLUSTERED;

-- Entries beside what was posted.
create table account_entry (
  id BIGINT not null, at BIGINT not null, budget BIGINT not null, window_id BIGINT not null,
  more BIGINT not null, less BIGINT not null,
  primary key (id)) CLUSTERED;
create table lease_entry (
  id BIGINT not null, at BIGINT not null, lease BIGINT not null, nanos BIGINT not null, beyond BIGINT not null,
  primary key (id)) CLUSTERED;
create table record_entry (
  id BIGINT not null, at BIGINT not null, incarnation BIGINT not null, stream BIGINT not null,
  number BIGINT not null, old_cost BIGINT not null, new_cost BIGINT not null, reason TEXT not null,
  primary key (id)) CLUSTERED;

-- Records, as long as they are kept; what is known of one stands in columns, and all of it in its line.
create table record (
  incarnation BIGINT not null, stream BIGINT not null, number BIGINT not null, at BIGINT not null,
  series BIGINT not null, chunk BIGINT not null, trace_hash BIGINT not null, trace TEXT not null, status BIGINT not null, ending TEXT not null,
  input BIGINT not null, cached_input BIGINT not null, cache_write BIGINT not null, output BIGINT not null,
  reasoning BIGINT not null, cost BIGINT not null, pricing BIGINT not null, duration_ms BIGINT not null,
  first_token_ms BIGINT, attempts BIGINT not null, cache BIGINT not null, saved BIGINT not null,
  corrected BIGINT, charges TEXT not null, line TEXT not null,
  primary key (incarnation, stream, number)) PLAIN;
create index record_at on record (at);
create index record_trace on record (chunk, trace_hash);

-- What records are told apart by, and their sums by hour: reports read nothing else.
create table series (
  id BIGINT not null, org TEXT not null, team TEXT not null, user_name TEXT not null, key_name TEXT not null,
  model TEXT not null, model_served TEXT not null, provider TEXT not null, endpoint TEXT not null,
  tags TEXT not null, status_class BIGINT not null,
  primary key (id)) CLUSTERED;
create table rollup_hour (
  hour BIGINT not null, series BIGINT not null, requests BIGINT not null, errors BIGINT not null,
  client_left BIGINT not null, fallbacks BIGINT not null, input BIGINT not null, cached_input BIGINT not null,
  cache_write BIGINT not null, output BIGINT not null, reasoning BIGINT not null, cost BIGINT not null,
  unpriced BIGINT not null, cache_hits BIGINT not null, cache_misses BIGINT not null, saved BIGINT not null,
  duration_ms BIGINT not null, durations BLOB not null, first_token_ms BIGINT not null, first_tokens BLOB not null,
  primary key (hour, series)) CLUSTERED;
create index rollup_series on rollup_hour (series, hour);
-- What came since the sums were written last. Reports add both: the sums lie all over their table, and to write each of
-- them with every record would be most of the work.
create table rollup_pending (
  position BIGINT not null,
  hour BIGINT not null, series BIGINT not null, requests BIGINT not null, errors BIGINT not null,
  client_left BIGINT not null, fallbacks BIGINT not null, input BIGINT not null, cached_input BIGINT not null,
  cache_write BIGINT not null, output BIGINT not null, reasoning BIGINT not null, cost BIGINT not null,
  unpriced BIGINT not null, cache_hits BIGINT not null, cache_misses BIGINT not null, saved BIGINT not null,
  duration_ms BIGINT not null, durations BLOB not null, first_token_ms BIGINT not null, first_tokens BLOB not null,
  primary key (position, hour, series)) CLUSTERED;

-- Keys, teams, budgets, switches.
create table entity (
  kind TEXT not null, id TEXT not null, revision BIGINT not null, body TEXT,
  primary key (kind, id)) CLUSTERED;
create index entity_revision on entity (revision);

-- What somebody should hear of, and who changed what.
create table alert (
  id BIGINT not null, at BIGINT not null, body TEXT not null, once TEXT, standing BIGINT not null,
  tries BIGINT not null, due BIGINT not null, note TEXT not null,
  primary key (id)) CLUSTERED;
create unique index alert_once on alert (once);
create index alert_due on alert (due, id) where standing = 0;
create table audit (
  id BIGINT not null, at BIGINT not null, actor TEXT not null, action TEXT not null, kind TEXT not null,
  entity TEXT not null, detail TEXT not null,
  primary key (id)) CLUSTERED;

# PostgreSQL, asked by psql in its own container, or where it has none by the app's driver in the app's.
# What every kind of database answers stands in the functions that have the same names in each of these files; what they
# print is records, but for the schema, which schema.sh describes.
# Expects containers.sh and what that expects, database, database_user, stamp_columns (array of table.column),
# version_table (the plan's; empty: none was known), and for what concerns the sessions of a run, run.

# What a migration says that did not get a lock in time.
no_lock='LockNotAvailable|55P03|lock timeout'
# The programs of which one makes a dump, where it is not known to be there.
dump_programs=${backup_client:+pg_dump}
# What tells a command in the app's container how its sessions begin, and what makes them read-only.
session_variable=PGOPTIONS
read_only='-c default_transaction_read_only=on'
# session_of SECONDS: how those of a migration begin, that waits so long for a lock (0: as the database says).
session_of() { [ "$1" = 0 ] || printf '%s' "-c lock_timeout=${1}s"; }

# query: carry out the SQL on stdin, in which a statement ends with ; or \gexec at the end of a line.
query() {
  if [ -n "$database_container" ]; then psql_; else inside query "$inside_settings"; fi
}

# psql_ ARGUMENT...: ask the database in its container; the password, where one is needed, stays in there.
psql_() {
  docker exec -i "$database_container" sh -c 'PGPASSWORD=$POSTGRES_PASSWORD PGCONNECT_TIMEOUT=10 exec psql "$@"' \
    psql -X -q -A -t -F $'\t' -v ON_ERROR_STOP=1 -U "$database_user" -d "$database" "$@"
}

# Answers a record per table of any schema that looks like one of Alembic's for versions: its name, how long a revision in
# it may be (0: any length), whether it is where Alembic has it by default; and one per revision in those.
version_tables="select c.oid, nspname, relname, greatest(atttypmod - 4, 0) as longest,
    c.oid is not distinct from to_regclass('alembic_version') as usual
  from pg_attribute v join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
  where attname = 'version_num' and atttypid in ('varchar'::regtype, 'text'::regtype) and relkind in ('r', 'p')
    and nspname !~ '^(pg_|information_schema\$)' and (c.oid = to_regclass('alembic_version') or not exists (
      select from pg_attribute a where a.attrelid = c.oid and attnum > 0 and not attisdropped and attname <> v.attname))"
version_query="select 'db_version_table', nspname || '.' || relname, longest, usual from ($version_tables) t order by 2;
select format('select ''db_revision'', %L, version_num from %I.%I order by version_num', nspname || '.' || relname, nspname, relname)
  from ($version_tables) t
  where has_schema_privilege(nspname, 'usage') and has_table_privilege(oid, 'select') order by 1 \gexec"

# tell_versions: the version tables, and what stands in them.
tell_versions() { query <<<"$version_query"; }

# revisions: what the plan's version table says, or any where none was known.
revisions() { tell_versions | revisions_of; }

# tell_database: what a plan is made from.
tell_database() {
  local columns
  columns={$(IFS=,; printf '%s' "${stamp_columns[*]}")}
  printf '%s\n' "${state_query//:columns/$(as_text "$columns")}" "$version_query" | query
}
state_query="select 'db_tables', count(*) from information_schema.tables
  where table_schema = any(current_schemas(false)) and table_type = 'BASE TABLE' and table_name <> 'alembic_version';
select 'db_column', table_name || '.' || column_name, data_type from information_schema.columns
  where table_schema = any(current_schemas(false)) and table_name || '.' || column_name = any(:columns::text[]);
select 'db_size', pg_database_size(current_database());
select 'db_server', extract(epoch from pg_postmaster_start_time()), oid from pg_database where datname = current_database();
select 'db_invalid_index', i.indexrelid::regclass, i.indrelid::regclass from pg_index i
  join pg_class c on c.oid = i.indexrelid where not i.indisvalid and c.relkind = 'i' and not exists (
    select from pg_locks where relation = i.indrelid and mode = 'ShareUpdateExclusiveLock' and granted) order by 2;
select 'db_idle', pid, usename, regexp_replace(application_name, '[[:cntrl:]]', ' ', 'g'),
    to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS TZ') from pg_stat_activity
  where datname = current_database() and state like 'idle in transaction%' and xact_start < now() - interval '5 s'
  order by xact_start limit 5;"

# tell_schema: the schema, whole, once a line comes on stdin or that is over; who is asked stands by then.
tell_schema() { on_word "$schema_query" | query; }

# Without a lock on anything that is described, so that nobody who holds one is waited for.
schema_query="set search_path = pg_catalog;
set lock_timeout = '5s';
with spaces as (
  select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
), extended as (
  select classid, objid from pg_depend where deptype = 'e'
), relations as (
  select c.*, format('%I.%I', nspname, relname) as name from pg_class c join spaces n on n.oid = relnamespace
  where not exists (select from extended where classid = 'pg_class'::regclass and objid = c.oid)
), columns as (
  select name, format('%s.%I', name, attname) as own, a.*, pg_get_expr(adbin, adrelid) as value
  from relations r join pg_attribute a on attrelid = r.oid left join pg_attrdef on adrelid = attrelid and adnum = attnum
  where relkind in ('r', 'p', 'f', 'v', 'm', 'c') and attnum > 0 and not attisdropped
), found (kind, name, part_of, definition) as (
  select 'schema', quote_ident(nspname), '', '' from spaces
  union all
  select 'extension', quote_ident(extname), '', extversion from pg_extension
  union all
  select case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'c' then 'type'
      else 'table' end, name,
    coalesce((select t.name from pg_depend join relations t on t.oid = refobjid where classid = 'pg_class'::regclass
      and objid = relations.oid and deptype in ('a', 'i') and relations.relkind = 'S' limit 1), ''),
    concat_ws(' ', case relkind when 'p' then pg_get_partkeydef(oid) end, pg_get_expr(relpartbound, oid),
      (select md5(string_agg(ev_action::text, '' order by rulename)) from pg_rewrite where ev_class = relations.oid))
    from relations where relkind in ('r', 'p', 'f', 'v', 'm', 'S', 'c')
  union all
  select 'column', own, name, concat_ws(' ', format_type(atttypid, atttypmod), case when attnotnull then 'not null' end,
      nullif(attidentity, ''), nullif(attgenerated, ''), attcollation::text, value) from columns
  union all
  select 'constraint', format('%s.%I', name, conname), name, pg_get_constraintdef(c.oid)
    from relations r join pg_constraint c on conrelid = r.oid
  union all
  select 'index', r.name, t.name, pg_get_indexdef(indexrelid) || case when indisvalid then '' else ' (invalid)' end
    from pg_index join relations r on r.oid = indexrelid join relations t on t.oid = indrelid
  union all
  select 'trigger', format('%s.%I', name, tgname), name, concat(tgenabled, ' ', pg_get_triggerdef(t.oid))
    from relations r join pg_trigger t on tgrelid = r.oid where not tgisinternal
  union all
  select 'type', format('%I.%I', nspname, typname), '', concat_ws(' ', typtype,
      (select string_agg(quote_literal(enumlabel), ',' order by enumsortorder) from pg_enum where enumtypid = t.oid),
      case typtype when 'd' then format_type(typbasetype, typtypmod) end, case when typnotnull then 'not null' end,
      typdefault,
      (select string_agg(pg_get_constraintdef(oid), ' ' order by conname) from pg_constraint where contypid = t.oid))
    from pg_type t join spaces n on n.oid = typnamespace where typtype in ('e', 'd', 'r')
    and not exists (select from extended where classid = 'pg_type'::regclass and objid = t.oid)
  union all
  select 'function', format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)), '',
    md5(concat(prosrc, probin, prosecdef, provolatile, pg_get_function_result(p.oid)))
    from pg_proc p join spaces n on n.oid = pronamespace
    where not exists (select from extended where classid = 'pg_proc'::regclass and objid = p.oid)
)
select kind, regexp_replace(name, '[[:cntrl:]]', ' ', 'g'),
  regexp_replace(part_of, '[[:cntrl:]]', ' ', 'g'), regexp_replace(definition, '[[:cntrl:]]', ' ', 'g')
from found order by kind collate \"C\", name collate \"C\", definition collate \"C\";"

# watch_holders SECONDS: who holds what somebody waits for, again and again.
watch_holders() { ask_again "$1" "${holders_query//:run/$(as_text "hot-update $run")}"; }

# Who holds what somebody waits for: the run's own sessions, or whoever wants to change a table. Never what they asked.
holders_query="select distinct wanted.relation::regclass, holder.pid, holder.usename, holder.application_name, holder.state,
    to_char(coalesce(holder.xact_start, holder.backend_start), 'YYYY-MM-DD HH24:MI:SS TZ')
  from pg_locks wanted join pg_stat_activity waiting using (pid)
    cross join lateral unnest(pg_blocking_pids(pid)) as blocking(pid) join pg_stat_activity holder on holder.pid = blocking.pid
  where not granted and waiting.datname = current_database() and (waiting.application_name = :run
    or locktype in ('relation', 'virtualxid') and mode in ('ShareUpdateExclusiveLock', 'ShareLock',
      'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
  limit 3;"

# watch_waits SECONDS: for how long, in seconds, somebody waits for a lock now, the longest; again and again.
watch_waits() { ask_again "$1" "$longest_query"; }

longest_query="select round(coalesce(max(extract(epoch from clock_timestamp()
    - coalesce((to_jsonb(l)->>'waitstart')::timestamptz, query_start))), 0)::numeric, 3)
  from pg_locks l join pg_stat_activity a using (pid) where not granted and datname = current_database();"

# end_sessions: end what a step of the run has left at work in the database, and print how many those were.
end_sessions() {
  query <<<"select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $(as_text "hot-update $run");"
}

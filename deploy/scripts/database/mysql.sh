# MySQL and MariaDB, asked by their client in the database's container, or where it has none by the app's driver in the
# app's. Functions as in postgres.sh.
# Expects containers.sh and what that expects, database, database_user, stamp_columns, version_table, and run.

no_lock='1205|[Ll]ock wait timeout exceeded'
dump_programs='mariadb-dump mysqldump'
# Statements, a line each, with which sessions of a command in the app's container begin.
session_variable=HOT_UPDATE_SESSION
read_only='set session transaction read only'
session_of() { # SECONDS
  printf '%s\n' "do coalesce(nullif(get_lock($(mark_of 1), 0), 0), nullif(get_lock($(mark_of 2), 0), 0), get_lock($(mark_of 3), 0))"
  [ "$1" = 0 ] || printf '%s\n' "set session lock_wait_timeout = $1, innodb_lock_wait_timeout = $1"
}

# mark_of NUMBER: a lock by which the sessions of a run are found: each holds one of these.
mark_of() { as_text "hot-update $run $1"; }

query() {
  if [ -n "$database_container" ]; then mysql_ "$database"; else inside query "$inside_settings"; fi
}

# mysql_ ARGUMENT...: ask the server by its own client.
mysql_() { client_ "$as_client" mariadb,mysql --batch --skip-column-names --unbuffered "$@"; }

# client_ PREAMBLE NAMES ARGUMENT...: a program in the database's container by the first of its names that is there, once
# the preamble has set the password, which stays in there.
client_() {
  docker exec -i -e "HOT_UPDATE_RUN=${run-}" "$database_container" sh -c "$1" sh "$database_user" "${@:2}"
}
as_client='user=$1 names=$2; shift 2
  if [ "$user" = root ]; then
    word=${MARIADB_ROOT_PASSWORD:-$MYSQL_ROOT_PASSWORD} file=${MARIADB_ROOT_PASSWORD_FILE:-$MYSQL_ROOT_PASSWORD_FILE}
  else
    word=${MARIADB_PASSWORD:-$MYSQL_PASSWORD} file=${MARIADB_PASSWORD_FILE:-$MYSQL_PASSWORD_FILE}
  fi
  if [ -z "$word" ] && [ -n "$file" ]; then word=$(cat "$file"); fi
  for name in $(echo "$names" | tr , " "); do ! command -v "$name" >/dev/null || break; done
  MYSQL_PWD=$word exec ${limit:+timeout -k 5 "$limit"} "$name" --user="$user" --default-character-set=utf8mb4 "$@"'

tell_versions() { query <<<"$version_query"; }

revisions() { tell_versions | revisions_of; }

tell_database() {
  printf '%s\n' "${state_query//:columns/$(as_texts "${stamp_columns[@]}")}" "$version_query" | query || return
  # Not everybody may see the sessions of others.
  query <<<"$idle_query" 2>/dev/null || true
}

tell_schema() { on_word "$schema_query" | query; }

watch_holders() { ask_again "$1" "$holders_query"; }

watch_waits() { ask_again "$1" "$longest_query"; }

end_sessions() {
  local session count=0
  [ -z "$database_container" ] || count=$(docker exec "$database_container" sh -c "$end_clients" sh "$run" | wc -l)
  while read -r session; do
    query <<<"kill $session;" && count=$((count + 1))
  done < <(query <<<"select is_used_lock($(mark_of 1)) union select is_used_lock($(mark_of 2)) union select is_used_lock($(mark_of 3));" | grep '^[0-9]')
  echo "$count"
}

# Ends the clients that a run has started, and prints a line for each.
end_clients='for one in /proc/[0-9]*; do
    ! tr "\0" "\n" 2>/dev/null <"$one/environ" | grep -qx "HOT_UPDATE_RUN=$1" || ! kill "${one#/proc/}" 2>/dev/null || echo
  done 2>/dev/null'

version_tables="select c.table_name as name, coalesce(character_maximum_length, 0) as longest
  from information_schema.columns c where table_schema = database() and column_name = 'version_num'
    and data_type in ('varchar', 'char', 'text') and (table_name = 'alembic_version' or 1 = (
      select count(*) from information_schema.columns o where o.table_schema = database() and o.table_name = c.table_name))"
version_query="set session group_concat_max_len = 1000000;
select 'db_version_table', concat(database(), '.', name), longest, if(name = 'alembic_version', 't', 'f')
  from ($version_tables) t order by 2;
set @found = (select concat(group_concat(concat('select ''db_revision'' as k, ', quote(concat(database(), '.', name)),
    ' as t, version_num as v from \`', replace(name, '\`', '\`\`'), '\`') separator ' union all '), ' order by 2, 3')
  from ($version_tables) t);
set @found = coalesce(@found, 'do 0');
prepare found from @found;
execute found;"

state_query="select 'db_tables', count(*) from information_schema.tables
  where table_schema = database() and table_type = 'BASE TABLE' and table_name <> 'alembic_version';
select 'db_column', concat(table_name, '.', column_name), data_type from information_schema.columns
  where table_schema = database() and concat(table_name, '.', column_name) in (:columns);
select 'db_server', concat_ws(' ', @@hostname, @@port, @@datadir, database()), unix_timestamp(min(create_time))
  from information_schema.tables where table_schema = database();
select 'db_size', coalesce(sum(data_length + index_length), 0) from information_schema.tables where table_schema = database();"

idle_query="select 'db_idle', id, user, '', date_format(trx_started, '%Y-%m-%d %H:%i:%s')
  from information_schema.innodb_trx join information_schema.processlist on id = trx_mysql_thread_id
  where db = database() and command = 'Sleep' and trx_started < now() - interval 5 second order by trx_started limit 5;"

schema_query="set session group_concat_max_len = 1000000;
select 'table' as kind, table_name as name, '' as part_of, concat_ws(' ', engine, table_collation) as definition
  from information_schema.tables where table_schema = database() and table_type = 'BASE TABLE'
union all
select 'view', table_name, '', md5(view_definition) from information_schema.views where table_schema = database()
union all
select 'column', concat(table_name, '.', column_name), table_name, concat_ws(' ', column_type,
    if(is_nullable = 'NO', 'not null', null), collation_name, concat('default ', column_default), nullif(extra, ''),
    nullif(generation_expression, ''))
  from information_schema.columns where table_schema = database()
union all
select 'index', concat(table_name, '.', index_name), table_name, concat_ws(' ', if(min(non_unique), null, 'unique'),
    min(index_type), group_concat(concat_ws(':', column_name, sub_part) order by seq_in_index))
  from information_schema.statistics where table_schema = database() group by table_name, index_name
union all
select 'constraint', concat(u.table_name, '.', u.constraint_name), u.table_name, concat(
    group_concat(u.column_name order by u.ordinal_position), ' references ', min(u.referenced_table_name), '(',
    group_concat(u.referenced_column_name order by u.ordinal_position), ') ', min(r.update_rule), ' ', min(r.delete_rule))
  from information_schema.key_column_usage u join information_schema.referential_constraints r
    on r.constraint_schema = u.table_schema and r.constraint_name = u.constraint_name and r.table_name = u.table_name
  where u.table_schema = database() group by u.table_name, u.constraint_name
union all
select 'check', concat(constraint_name, ' (', check_clause, ')'), '', '' from information_schema.check_constraints
  where constraint_schema = database()
union all
select 'trigger', concat(event_object_table, '.', trigger_name), event_object_table,
    concat_ws(' ', action_timing, event_manipulation, md5(action_statement))
  from information_schema.triggers where trigger_schema = database()
union all
select lower(routine_type), routine_name, '', md5(concat_ws(' ', dtd_identifier, routine_definition))
  from information_schema.routines where routine_schema = database()
union all
select 'event', event_name, '', md5(concat_ws(' ', status, interval_value, interval_field, event_definition))
  from information_schema.events where event_schema = database()
order by kind, name, definition;"

# Which of those who are in a transaction holds the lock, the server does not tell everywhere: who began first.
holders_query="select '', t.trx_mysql_thread_id, holder.user, '', lower(holder.command),
    date_format(t.trx_started, '%Y-%m-%d %H:%i:%s')
  from information_schema.processlist waiting join information_schema.innodb_trx t
    on t.trx_mysql_thread_id <> waiting.id join information_schema.processlist holder on holder.id = t.trx_mysql_thread_id
  where waiting.db = database() and waiting.state like 'Waiting for%lock%' order by t.trx_started limit 1;"

longest_query="select coalesce(max(time), 0) from information_schema.processlist
  where db = database() and state like 'Waiting for%lock%';"

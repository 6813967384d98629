# SQLite, asked in the app's container, by Python's own module. Functions as in postgres.sh.
# Expects containers.sh and what that expects, inside_settings, stamp_columns, version_table.

no_lock='database (table )?is locked'
dump_programs=
session_variable=HOT_UPDATE_SESSION
read_only='pragma query_only = on'
session_of() { [ "$1" = 0 ] || printf '%s' "pragma busy_timeout = ${1}000"; }

query() { inside query "$inside_settings"; }

tell_versions() { query <<<"$version_query"; }

revisions() { tell_versions | revisions_of; }

tell_database() {
  printf '%s\n' "${state_query//:columns/$(as_texts "${stamp_columns[@]}")}" "$version_query" | query
}

tell_schema() { on_word "$schema_query" | query; }

# Who waits is let wait by the app, a few seconds; who holds a lock is not told by SQLite.
watch_holders() { read -r -u "$stop" _ || true; }
watch_waits() { read -r -u "$stop" _ || true; }

# Its sessions are the processes in the container.
end_sessions() { echo 0; }

version_tables="select name from sqlite_master m where type = 'table'
  and exists (select 1 from pragma_table_info(m.name) where name = 'version_num')
  and (name = 'alembic_version' or 1 = (select count(*) from pragma_table_info(m.name)))"
version_query="select 'db_version_table', 'main.' || name, 0, case name when 'alembic_version' then 't' else 'f' end from ($version_tables) order by 2;
select 'select ''db_revision'', ' || quote('main.' || name) || ', version_num from \"' || replace(name, '\"', '\"\"')
    || '\" order by version_num' from ($version_tables) order by name \gexec"

state_query="select 'db_tables', count(*) from sqlite_master
  where type = 'table' and name not like 'sqlite%' and name <> 'alembic_version';
select 'db_column', m.name || '.' || c.name, lower(c.type) from sqlite_master m, pragma_table_info(m.name) c
  where m.type = 'table' and m.name || '.' || c.name in (:columns);
select 'db_size', page_count * page_size from pragma_page_count(), pragma_page_size();"

schema_query="with found (kind, name, part_of, definition) as (
  select type, name, case type when 'table' then '' when 'view' then '' else tbl_name end, coalesce(sql, '')
    from sqlite_master where name not like 'sqlite%'
  union all
  select 'column', m.name || '.' || c.name, m.name,
    c.type || case when c.\"notnull\" then ' not null' else '' end || case when c.pk then ' pk ' || c.pk else '' end
      || coalesce(' default ' || c.dflt_value, '')
    from sqlite_master m, pragma_table_xinfo(m.name) c where m.type = 'table' and m.name not like 'sqlite%'
)
select kind, name, part_of, definition from found order by kind, name, definition;"

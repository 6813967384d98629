# How scripts on the host reach into the containers.
# Expects: container, python, record_folder, postgres_container, database, database_user, inside_program, inside_loader,
# copied.

# inside COMMAND SETTINGS: run a command of deploy/inside in the app container as root; stdin is the command's input.
inside() {
  { printf '%s' "$inside_program"; cat; } |
    timeout -k 5 "${inside_timeout:-600}" docker exec -i -u 0 -e "HOT_UPDATE_RUN=${run-}" "$container" \
      "$python" -I -c "$inside_loader" "${#inside_program}" "$@"
}

# psql_ ARGUMENT...: ask the database in its container; the password, where one is needed, stays in there.
psql_() {
  docker exec -i "$postgres_container" sh -c 'PGPASSWORD=$POSTGRES_PASSWORD PGCONNECT_TIMEOUT=10 exec psql "$@"' \
    psql -X -q -A -t -F $'\t' -v ON_ERROR_STOP=1 -U "$database_user" -d "$database" "$@"
}

# Answers a record per revision in alembic_version; none where there is no such table.
version_query="select to_regclass('alembic_version') is not null as stamped \gset
\if :stamped
select 'db_revision', version_num from alembic_version order by 1;
\endif"

# entries COMMIT: the commit's files that are copied, as deploy/inside reads them.
entries() {
  [ -z "$1" ] || git_ diff-tree -r -z --raw --no-renames --no-abbrev \
    "$(git_ hash-object -t tree --stdin </dev/null)" "$1" -- "${copied[@]}"
  printf '\0'
}

# record_sum: a fingerprint of the record of what runs; nothing where there is none.
record_sum() { docker exec -u 0 "$container" cksum "$record_folder/record.json" 2>/dev/null | cut -d' ' -f1,2; }

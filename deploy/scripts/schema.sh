# The schema of the database as its catalogue has it, in lines of kind, name, what it is part of, and definition, in an
# order of their own: two of them show what came, went or changed. Data is none of it, and what extensions bring neither.
# Expects containers.sh and what that expects, except for schema_differences and tell_differences.

# keep_schema FILE: write it down whole; where it cannot be had, FILE.problem says why and there is no FILE.
keep_schema() {
  rm -f "$1"
  if psql_ <<<"$schema_query" >"$1.part" 2>"$1.problem" && mv "$1.part" "$1"; then
    rm -f "$1.problem"
  else
    rm -f "$1.part"
  fi
}

# schema_differences BEFORE AFTER: a line each of `came`, `went` or `changed` and what; a table stands for its parts. A
# dump that was restored writes some definitions in other words: with `names` only what came and went is told.
schema_differences() {
  awk -F '\t' -v names="${3-}" '
    before {was[$1 "\t" $2] = $4; of[$1 "\t" $2] = $3; next}
    {now[$1 "\t" $2] = $4; of[$1 "\t" $2] = $3; order[++count] = $1 "\t" $2}
    END {
      for (key in was) if (!(key in now)) {split(key, part, "\t"); gone[part[2]] = 1}
      for (i = 1; i <= count; i++) if (!(order[i] in was)) {split(order[i], part, "\t"); come[part[2]] = 1}
      for (key in was) if (!(key in now) && !(of[key] in gone)) tell("went", key)
      for (i = 1; i <= count; i++) {
        key = order[i]
        if (!(key in was)) {if (!(of[key] in come)) tell("came", key)}
        else if (was[key] != now[key] && names == "") tell("changed", key)
      }
    }
    function tell(how, key) {sub("\t", " ", key); print how "\t" key}' before=1 "$1" before= "$2" | sort
}

# tell_differences: those on stdin, a message each.
tell_differences() {
  local how what
  while IFS=$'\t' read -r how what; do
    case $how in
      came) say 'came: %s' "$what" ;;
      went) say 'went: %s' "$what" ;;
      changed) say 'changed: %s' "$what" ;;
    esac
  done
}

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

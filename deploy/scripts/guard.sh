# What a plan is made from: read when it is made, and again under the lock before anything is done.
guard() {
  local release database
  # The slow answers are on their way while git gives its own.
  exec {release}< <(record_sum) {database}< <(psql_ <<<"$version_query" 2>/dev/null | cut -f2 | paste -sd' ')
  record container "$(docker inspect --format '{{.Id}}' "$container" 2>/dev/null)"
  record HEAD "$(git_ rev-parse -q --verify HEAD 2>/dev/null)"
  record branch "$(git_ symbolic-ref -q --short HEAD 2>/dev/null)"
  record 'work tree' "$(git_ status --porcelain=v2 -z 2>/dev/null | cksum)"
  record 'running release' "$(cat <&"$release")"
  record 'database revision' "$(cat <&"$database")"
  exec {release}<&- {database}<&-
}

# Tells what files of a commit say, in records; changes nothing.
# Expects besides the shared variables: revision, sources (array), record_fields.
longest=262144
{
  for name in "${sources[@]}"; do
    text=$(git_ show "$revision:$name" | head -c "$longest") || continue
    record source "$name" "$text"
  done
} 2>/dev/null | redact_records

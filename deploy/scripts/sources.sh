# Tells what files of a commit say, line by line, in records; changes nothing.
# Expects besides the shared variables: revision, sources (array), record_fields.
longest=262144
{
  for name in "${sources[@]}"; do
    git_ show "$revision:$name" | head -c "$longest" |
      while IFS= read -r line || [ -n "$line" ]; do record source "$name" "$line"; done
  done
} 2>/dev/null | redact_records

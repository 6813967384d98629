# The schema of the database as its catalogue has it, in lines of kind, name, what it is part of, and definition, in an
# order of their own: two of them show what came, went or changed. Data is none of it, and what extensions bring neither.
# Expects the database's script (database/KIND.sh), except for schema_differences and tell_differences.

# keep_schema FILE: write it down whole, once the word for it comes on stdin or that is over; where it cannot be had,
# FILE.problem says why and there is no FILE.
keep_schema() {
  rm -f "$1"
  if tell_schema >"$1.part" 2>"$1.problem" && mv "$1.part" "$1"; then
    rm -f "$1.problem"
  else
    rm -f "$1.part"
  fi
}

# on_word TEXT: print it once that is so.
on_word() { read -r _ || true; printf '%s\n' "$1"; }

# know_schema FILE: the same, where that was not tried yet.
know_schema() { [ -e "$1" ] || [ -e "$1.problem" ] || keep_schema "$1" </dev/null; }

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

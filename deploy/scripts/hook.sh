# Runs a hook of the settings on the host, with what it tells cleaned of secrets.
# Expects redact.sh and what that expects, path, command, limit (seconds).
cd "$path" || exit
redacted timeout -k 5 "$limit" sh -c "$command" </dev/null

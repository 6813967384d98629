# Runs a command of the settings, as the user that the harness runs as. Expects command, target_name, host.
TARGET=$target_name HOST=$host bash -c "$command" || { say 'the command ended with status %s' "$?" >&2; exit 1; }

# Wait until no run holds the lock, but not for longer than that. Expects patience (seconds).
folder=$(state_folder)
until ! lock_held "$folder" || [ "$SECONDS" -ge "$patience" ]; do sleep 0.3; done

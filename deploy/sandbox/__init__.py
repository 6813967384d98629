"""A throwaway production on this machine: its own origin, host, stack and sshd."""

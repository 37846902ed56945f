"""Options, environment and terminal of the commands, and the start of the service."""

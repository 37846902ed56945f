"""HTTP for every route: the app class, access control, sessions, errors, metrics and logs, texts."""

"""Who may use the desk: users, their sessions and sign-ins, keys of scripts."""

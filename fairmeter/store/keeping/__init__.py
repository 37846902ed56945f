"""What is kept of clients, for how long, and copies of everything: backups, exports, erasure, purges."""

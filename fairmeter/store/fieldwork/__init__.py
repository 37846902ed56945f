"""Field work in the store: crews, plans of visits, campaigns, comments and notices to users."""

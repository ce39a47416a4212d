"""One HTML page that needs no server, no script and no network."""

"""The embedded store: SQLite for documents and log events, files for blobs. Only `app` names this package."""

"""The energy centre: ingest, store, accounting, API and page."""

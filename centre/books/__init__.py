"""The relational side of the centre: entities, audit and what people decide, in one SQLite file beside the store."""

"""The gateway daemon: polls meters, spools what they say, publishes it until the centre has stored it."""

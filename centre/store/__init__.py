"""Stores: where readings, what arrived, and accounted intervals are kept. The port is centre.store.base."""

"""Accounting: pure functions from readings to energy, carbon and completeness; Decimal throughout, no clock, no I/O."""

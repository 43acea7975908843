"""Reports: what a statement says, as tables that are handed to others."""

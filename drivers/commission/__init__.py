"""Tools of the one who connects meters: read one now, find out what answers, understand an unknown one. Reads only."""

"""Results -> a terminal's text, and JSON. Pure functions of results; nothing here runs a model."""

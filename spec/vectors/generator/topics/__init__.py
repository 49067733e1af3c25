"""The cases, a module for each topic; each becomes one JSON file."""

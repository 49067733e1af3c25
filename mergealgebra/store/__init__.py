"""Content-addressed files on disk: what a replica holds, written whole or not at all."""

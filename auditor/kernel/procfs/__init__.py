"""One module per kernel file: a thin reader and a pure parser. Parsers raise `Malformed` and nothing else."""

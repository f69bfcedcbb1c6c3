"""The bus: frames, results and the ledger in Redis. Nothing outside this package speaks Redis."""

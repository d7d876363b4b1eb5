"""The floor: the platform's requests, rows and messages moved by a bare route, asyncpg and aiokafka alone.

What it leaves out is what the platform is there for: tokens, validation, the engine, encryption, the ledger's hashing.
"""

"""The ledger: a Merkle log that anyone can check, without a database or a network."""

"""A witness of the ledger: keeps the last checkpoint it saw and refuses a log that rewrites history."""

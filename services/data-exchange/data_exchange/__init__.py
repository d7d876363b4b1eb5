"""data-exchange: the consent register and the ledger of disclosures."""

"""The health commission: birth registration, birth certificates, parenting guidance."""

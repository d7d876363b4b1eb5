"""Public security: household registration and citizen numbers."""

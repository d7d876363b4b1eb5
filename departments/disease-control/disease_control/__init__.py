"""The bureau of disease control: vaccination records."""

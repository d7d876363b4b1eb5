"""Taxation: contributions to residents' medical insurance."""

"""Fixtures for every test of the workspace."""

pytest_plugins = ["yijian_embedded.testing"]

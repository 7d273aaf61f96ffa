"""Fixtures for every test file: the servers that tests start."""

pytest_plugins = ["servers.dovecot", "servers.postfix", "servers.postgresql", "servers.proxy"]

"""Fixtures for every test file: the servers that tests start."""

from hypothesis import settings

# The same examples each time: a run that fails can be run again, one that passed passes again.
settings.register_profile("the same each time", derandomize=True, database=None)
settings.load_profile("the same each time")

pytest_plugins = ["servers.dovecot", "servers.postfix", "servers.postgresql", "servers.proxy", "laboratory"]

# What takes minutes begins first where files are dealt out to several processes (--no-loadscope-reorder).
_LONG = ["test_soak", "test_package", "test_faults", "test_postgresql", "test_browser", "test_service", "test_crash"]


def pytest_collection_modifyitems(config, items):
    """The order, where there are several processes; and hours of it are for who asks by name: `-m soak`."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _LONG.index(item.path.stem) if item.path.stem in _LONG else len(_LONG))
    if config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]

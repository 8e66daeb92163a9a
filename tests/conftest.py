"""Which of the long stories are played, in which order files are, and which cases properties are tried with.

All of them, unless ARRIERO_SAMPLE says a part, like `0/3`: of the files that are marked `long`, in the order of their
names, every third one from the first on. `.ci/run` takes its part by a seed that it prints.

Files with stories come first: the one that takes minutes must not begin when the others end.

Properties are tried with the same cases each time, so that a commit is as good tomorrow as it was today;
HYPOTHESIS_PROFILE=default looks for new ones, as `make proof` does.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

# Of a test in a file that is marked `long`, where it says nothing else: alone they take half of it at most.
LONGEST_SECONDS = 600

# No test waits on real time: a slow machine makes no property false.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# A shell's background job ignores SIGINT, and what it starts does, too: programs that tests interrupt would go on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONGEST_SECONDS))
    part, _, parts = os.environ.get("ARRIERO_SAMPLE", "0/1").partition("/")
    files = sorted({str(item.path) for item in items if item.get_closest_marker("long")})
    left_out = {file for place, file in enumerate(files) if place % int(parts) != int(part)}
    config.hook.pytest_deselected(items=[item for item in items if str(item.path) in left_out])
    stories = {item.path for item in items if item.get_closest_marker("story")}
    items[:] = sorted(
        (item for item in items if str(item.path) not in left_out), key=lambda item: item.path not in stories
    )

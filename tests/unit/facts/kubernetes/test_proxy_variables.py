"""Variables that lead a process through a proxy: it is kept that they are set, and nothing of their values."""

from __future__ import annotations

from typing import Any

import pytest

from facts.kubernetes.pod_spec import SET, _judged_variables


@pytest.mark.parametrize(
    ("listed", "kept"),
    [
        ([{"name": "HTTPS_PROXY", "value": "http://user:secret@proxy:3128"}], [{"name": "HTTPS_PROXY", "value": SET}]),
        ([{"name": "all_proxy", "value": "socks5://proxy"}], [{"name": "all_proxy", "value": SET}]),
        ([{"name": "HTTPS_PROXY", "value": ""}, {"name": "HTTPS_PROXY"}, {"name": "OTHER", "value": "x"}], []),
    ],
)
def test_a_proxy_variable_is_kept_without_its_value(listed: Any, kept: Any) -> None:
    assert _judged_variables(listed) == kept

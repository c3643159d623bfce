"""Two of the layouts that others have, on the lab that CI has anyway; `make installs` takes all of them."""

from __future__ import annotations

import pytest

from tests.installs.__main__ import rows_of
from tests.installs.layout import FAULTY, READ_ONLY, Layout, expected
from tests.installs.layouts import LAYOUTS
from tests.lab.conftest import Lab


@pytest.mark.parametrize("layout", [each for each in LAYOUTS.values() if each.in_ci], ids=lambda layout: layout.name)
def test_a_right_layout_is_called_right_and_its_fault_is_found(lab: Lab, layout: Layout) -> None:
    """The runs on it that only read say what the table expects."""
    rows = list(rows_of(lab, layout, expected()[layout.name], (READ_ONLY, FAULTY)))
    assert [str(row) for row in rows if row.otherwise] == []

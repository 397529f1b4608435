"""Where the workers of a process group listen."""

import sys

import pytest

from raygp.cluster.process_group import interface_of


@pytest.mark.skipif(sys.platform != "linux", reason="interfaces are asked for as on Linux")
def test_an_interface_is_found_by_its_address() -> None:
    assert interface_of("127.0.0.1") == "lo"


def test_an_address_of_no_interface() -> None:
    assert interface_of("192.0.2.7") is None
